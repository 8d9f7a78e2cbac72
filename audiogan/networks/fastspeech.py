"""FastSpeech 2 (Ren et al., ICLR 2021) with convolutions and a learned alignment, for log-mel spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.alignment import Aligner, monotonic_durations
from audiogan.networks.checks import check_sizes
from audiogan.networks.vocos import VocosBlock

GAP = 3
"""Number of zeros between joined sequences: half the kernel size, so that convolutions do not mix the sequences."""
LOWEST_HZ, OCTAVES, BINS = 60.0, 3.0, 64
"""Lowest pitch in Hz, range of pitches in octaves, and number of pitches in this range with an embedding."""
MEL_MEAN, MEL_STD = -5.0, 2.5
"""Typical mean and standard deviation of log-mel values of speech."""
SILENCE = -11.5129
"""Log-mel value of silence, the logarithm of 1e-5."""


class TeacherForced(NamedTuple):
    """Result of `FastSpeech.forward_teacher_forced`.

    In shapes without ``B``, the examples of the batch are concatenated: ``T`` is the sum of their frames, ``N`` the sum
    of their symbols. In shapes with ``B``, examples are padded to the largest number of frames and symbols.

    Attributes:
        mel: generated frames ``[T, n_mels]``.
        target: frames of the recordings ``[T, n_mels]``.
        alignment: log-probabilities ``[B, T, N]`` of symbols at frames.
        durations: number of frames of each symbol on the best path, int64 ``[B, N]``.
        log_durations: predicted and aligned ``log(1 + frames)`` of each symbol, ``[2, N]``.
        voicing: predicted logits and real voicing, 0 or 1, of each frame, ``[2, T]``.
        pitch: predicted and real pitch of each frame in octaves above the lowest pitch, ``[2, T]``.
        symbols: number of symbols of each text, int64 ``[B]``.
        frames: number of frames of each recording, int64 ``[B]``.
    """

    mel: Tensor
    target: Tensor
    alignment: Tensor
    durations: Tensor
    log_durations: Tensor
    voicing: Tensor
    pitch: Tensor
    symbols: Tensor
    frames: Tensor


class Joined:
    """Layout of sequences of different lengths in one long sequence, with `GAP` zeros after each.

    Args:
        lengths: lengths of the sequences, int64 ``[B]``.
    """

    def __init__(self, lengths: Tensor) -> None:
        self.lengths = lengths
        starts = F.pad((lengths + GAP).cumsum(0)[:-1], (1, 0))
        inside = torch.arange(int(lengths.max()), device=lengths.device)[None] < lengths[:, None]
        self.inside = inside
        places = starts[:, None] + torch.arange(inside.shape[1], device=lengths.device)
        self.places, self.total = places[inside], int((lengths + GAP).sum())
        self.mask = torch.zeros(1, self.total, 1, device=lengths.device)
        self.mask[0, self.places] = 1

    def insert_gaps(self, x: Tensor) -> Tensor:
        """Insert the gaps into concatenated sequences ``[sum, C]``. Return ``[1, total, C]``."""
        return x.new_zeros(self.total, x.shape[1]).index_copy(0, self.places, x)[None]

    def remove_gaps(self, x: Tensor) -> Tensor:
        """Remove the gaps from sequences ``[1, total, C]``. Return ``[sum, C]``."""
        return x[0, self.places]

    def pad(self, x: Tensor, value: float = 0.0) -> Tensor:
        """Return concatenated sequences ``[sum, C]`` as a batch ``[B, longest, C]``, padded with ``value``."""
        out = x.new_full((*self.inside.shape, x.shape[1]), value)
        out[self.inside] = x
        return out


class ConvStack(nn.Module):
    """ConvNeXt blocks with dropout on concatenated sequences ``[sum, width]``, see `Joined`.

    Args:
        width: number of channels, 1 or more.
        layers: number of blocks, 1 or more.
        dropout: probability of dropout after each block, 0 to below 1.
        inner: number of channels inside a block, 1 or more.
    """

    def __init__(self, width: int, layers: int, dropout: float, inner: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(VocosBlock(width, inner, 1 / layers) for _ in range(layers))
        self.norm, self.dropout = nn.LayerNorm(width, eps=1e-6), dropout

    def forward(self, x: Tensor, joined: Joined) -> Tensor:
        x = joined.insert_gaps(x)
        for block in self.blocks:
            x = F.dropout(block(x), self.dropout, self.training) * joined.mask
        return self.norm(joined.remove_gaps(x))


class FastSpeech(nn.Module):
    """Text to speech: network from symbols to log-mel spectrograms ``[B, n_mels, frames]``.

    An encoder processes the symbols. One network predicts the number of frames of each symbol. The encoded symbols are
    repeated for as many frames. Another network predicts the pitch of each frame. A decoder computes the spectrogram
    from the repeated symbols and the pitch. In training, durations come from the best path through the alignment that
    `Aligner` learns, and the pitch comes from the recordings.

    Differences from the paper: ConvNeXt blocks instead of attention, a learned alignment instead of an external one, no
    energy, and a pitch in octaves for each frame. Each speaker has an embedding; class weights mix the embeddings. The
    text is pronounced in the language of the class with the largest weight.

    Args:
        shape: shape ``(n_mels, frames)`` of the spectrograms in training. Spectrograms can have any number of frames.
        symbols: number of symbols, including the padding value 0, see `audiogan.inputs.SpokenText`.
        languages: language of each speaker, in the order of the classes. Further speakers have the last language.
        classes: number of speakers. 0: the network does not receive the speaker.
        width: number of channels, 1 or more.
        text_layers: number of blocks of the encoder, 1 or more.
        layers: number of blocks of the decoder, 1 or more.
        pitch_layers: number of blocks of the predictors of pitch and duration, 1 or more.
        inner: number of channels inside a block. Default: twice ``width``.
        dropout: probability of dropout after each block, 0 to below 1.

    Source:
        Ren et al., "FastSpeech 2: fast and high-quality end-to-end text to speech", ICLR 2021.

    Examples:
        >>> import torch
        >>> from audiogan.inputs import SpokenText
        >>> from audiogan.networks.fastspeech import FastSpeech
        >>> text = SpokenText(languages=["en"])
        >>> net = FastSpeech((80, 100), 64, ["en"], width=16, text_layers=1, layers=1).eval()
        >>> net(text=text.parse("Hello.")[None], speed=torch.ones(1, 1), pitch=torch.zeros(1, 1)).shape[:2]
        torch.Size([1, 80])
    """

    def __init__(
        self,
        shape: Sequence[int],
        symbols: int,
        languages: Sequence[str],
        classes: int = 0,
        width: int = 192,
        text_layers: int = 4,
        layers: int = 6,
        pitch_layers: int = 2,
        inner: int | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        inner = 2 * width if inner is None else inner
        check_sizes(self, width=width, text_layers=text_layers, layers=layers, pitch_layers=pitch_layers, inner=inner)
        if not languages:
            raise ValueError("FastSpeech: languages: give the language of each speaker")
        languages = [*languages, *[languages[-1]] * (classes - len(languages))]
        self.shape, self.n_mels = tuple(shape), shape[0]
        self.takes = frozenset({"text", "speed", "pitch"} | ({"classes"} if classes else set()))
        rows = list(dict.fromkeys(languages))
        self.rows = [1 + rows.index(language) for language in languages]
        self.embed = nn.Embedding(symbols, width, padding_idx=0)
        self.speaker = nn.Linear(classes, width, bias=False) if classes else None
        self.encoder = ConvStack(width, text_layers, dropout, inner)
        self.aligner = Aligner(width, self.n_mels)
        self.duration_stack, self.duration = ConvStack(width, pitch_layers, dropout, inner), nn.Linear(width, 1)
        self.position = nn.Linear(3, width)
        self.pitch_stack, self.pitch_head = ConvStack(width, pitch_layers, dropout, inner), nn.Linear(width, 2)
        self.pitch_embed = nn.Embedding(BINS + 1, width)
        self.decoder, self.head = ConvStack(width, layers, dropout, inner), nn.Linear(width, self.n_mels)
        nn.init.normal_(self.embed.weight, std=0.5)
        nn.init.normal_(self.pitch_embed.weight, std=0.1)
        if self.speaker is not None:
            nn.init.normal_(self.speaker.weight, std=0.1)

    def forward(self, text: Tensor, speed: Tensor, pitch: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return log-mel spectrograms ``[B, n_mels, frames]``, padded with silence.

        Args:
            text: texts, int64 ``[B, 1 + languages, length]``, see `audiogan.inputs.SpokenText`.
            speed: factor on the speed of speech ``[B, 1]``, more than 0.
            pitch: change of the pitch in semitones ``[B, 1]``.
            classes: weights of the speakers ``[B, classes]``.
        """
        tokens, joined, who = self._embed_text(text, classes)
        encoded = self.encoder(tokens + self._speaker_at_positions(who, joined.lengths), joined)
        logs = self.duration(self.duration_stack(encoded, joined))[:, 0]
        slow = torch.repeat_interleave(1 / speed[:, 0], joined.lengths)
        durations = (logs.exp() - 1).clamp(0.5, 200) * slow
        # Cumulative sums are rounded instead of durations, so that rounding errors do not add up.
        sums = [part.cumsum(0).round() for part in durations.split(joined.lengths.tolist())]
        counts = torch.cat([part.diff(prepend=part.new_zeros(1)) for part in sums]).long()
        counts = torch.maximum(counts, torch.ones_like(counts))
        frames = torch.stack([part.sum() for part in counts.split(joined.lengths.tolist())])
        steps = Joined(frames)
        hidden = self._repeat_symbols(encoded, counts)
        voicing, octaves = self.pitch_head(self.pitch_stack(hidden, steps)).unbind(1)
        shift = torch.repeat_interleave(pitch[:, 0] / 12, frames)
        mel = self._decode(hidden, (octaves + shift).clamp(0, OCTAVES), voicing > 0, who, steps)
        return steps.pad(mel.clamp_min(SILENCE), SILENCE).transpose(1, 2)

    def forward_teacher_forced(
        self, text: Tensor, classes: Tensor | None, mel: Tensor, frames: Tensor, hertz: Tensor
    ) -> TeacherForced:
        """Generate spectrograms with the durations and the pitch of recordings, and return the values for the losses.

        Args:
            text: texts, int64 ``[B, 1 + languages, length]``.
            classes: weights of the speakers ``[B, classes]``.
            mel: spectrograms ``[B, n_mels, T]`` of the recordings.
            frames: number of frames of each recording, int64 ``[B]``.
            hertz: pitch of each frame ``[B, T]`` in Hz, 0: unvoiced.
        """
        tokens, joined, who = self._embed_text(text, classes)
        encoded = self.encoder(tokens + self._speaker_at_positions(who, joined.lengths), joined)
        # The aligner receives embeddings and not encoded symbols, which contain information on distant symbols.
        alignment = self.aligner(joined.pad(tokens), (mel - MEL_MEAN) / MEL_STD, joined.lengths, frames)
        found = monotonic_durations(
            alignment.detach().float().cpu().numpy(), joined.lengths.cpu().numpy(), frames.cpu().numpy()
        )
        durations = torch.from_numpy(found).to(frames)
        counts = durations[joined.inside]
        logs = self.duration(self.duration_stack(encoded, joined))[:, 0]
        steps = Joined(frames)
        hidden = self._repeat_symbols(encoded, counts)
        voicing, octaves = self.pitch_head(self.pitch_stack(hidden, steps)).unbind(1)
        own = hertz[steps.inside]
        real = (own.clamp_min(1) / LOWEST_HZ).log2().clamp(0, OCTAVES)
        made = self._decode(hidden, real, own > 0, who, steps)
        return TeacherForced(
            made,
            mel.transpose(1, 2)[steps.inside],
            alignment,
            durations,
            torch.stack([logs, (counts + 1).float().log()]),
            torch.stack([voicing, (own > 0).float()]),
            torch.stack([octaves, real]),
            joined.lengths,
            frames,
        )

    def _embed_text(self, text: Tensor, classes: Tensor | None) -> tuple[Tensor, Joined, Tensor | None]:
        """Return embedded symbols ``[sum, width]``, their layout, and the embeddings of the speakers ``[B, width]``."""
        if text.dim() != 3 or text.shape[1] != 1 + len(set(self.rows)) or (classes is None) != (self.speaker is None):
            raise ValueError(f"FastSpeech: unexpected text {list(text.shape)}, or classes for a model without them")
        rows = torch.tensor(self.rows, device=text.device)
        chosen = rows[:1].expand(len(text)) if classes is None else rows[classes.argmax(1)]
        tokens = text[torch.arange(len(text), device=text.device), chosen]
        joined = Joined((tokens > 0).sum(1))
        who = None if self.speaker is None else self.speaker(classes)
        return self.embed(tokens[:, : joined.inside.shape[1]][joined.inside]), joined, who

    def _speaker_at_positions(self, who: Tensor | None, lengths: Tensor) -> Tensor | float:
        """Repeat the embedding of each speaker for all positions of the sequence. Return ``[sum, width]``."""
        return 0.0 if who is None else torch.repeat_interleave(who, lengths, dim=0)

    def _repeat_symbols(self, encoded: Tensor, counts: Tensor) -> Tensor:
        """Repeat each encoded symbol for its number of frames, and add the position of each frame in its symbol."""
        starts = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
        place = torch.arange(len(starts), device=counts.device) - starts
        whole = torch.repeat_interleave(counts, counts).float()
        share = (place + 0.5) / whole
        positions = torch.stack([share, whole.log() / 3, (place + 1.0).reciprocal()], dim=1)
        return torch.repeat_interleave(encoded, counts, dim=0) + self.position(positions)

    def _decode(self, hidden: Tensor, octaves: Tensor, voiced: Tensor, who: Tensor | None, steps: Joined) -> Tensor:
        """Return log-mel frames ``[sum, n_mels]`` for repeated symbols ``[sum, width]`` and pitches ``[sum]``."""
        bins = octaves * ((BINS - 1) / OCTAVES)
        low = bins.detach().floor().clamp(0, BINS - 2)
        share, low = (bins - low)[:, None], low.long()
        tone = torch.lerp(self.pitch_embed(low), self.pitch_embed(low + 1), share)
        tone = torch.where(voiced[:, None], tone, self.pitch_embed.weight[BINS])
        x = self.decoder(hidden + tone + self._speaker_at_positions(who, steps.lengths), steps)
        return MEL_MEAN + MEL_STD * self.head(x)
