"""Translation of one signal of any size by a generator with a signal input."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.inputs import Input, MaskSignal, Seeded, Signal
from audiogan.modalities.reading.sound import resample_blocks
from audiogan.model.translation.streaming import StreamingNetwork, run_stream
from audiogan.model.translation.tiling import Array, apply_tiled
from audiogan.utils.workers import WORKERS


def apply_signal(
    generator: Any, source: Any, *, progress: Callable[[float], object] | None = None, **options: Any
) -> NDArray[np.float32]:
    """Translate one signal of any size.

    A network that processes streams (`StreamingNetwork`) receives a sound in blocks, and passes its state from block to
    block. If the receptive field of another network is known and finite, the signal is split into tiles. Their margins
    have the size of the receptive field, so that the tile borders cannot be heard or seen. Otherwise, overlapping
    windows of the training size are processed and cross-faded. A signal of the training size is processed in one piece.
    On a CPU, the bits do not depend on the number of threads.

    Args:
        generator: the model.
        source: sound ``[C, T]`` at the sample rate of the model, image ``[C, H, W]``, or the path of a file. Vocoders
            also accept log-mel spectrograms ``[n_mels, frames]``, see `audiogan.inputs.MelSignal`.
            `apply_files` preserves more of a file: 16 bits, transparency, and all channels of a sound.
        progress: function called with the completed fraction of the work, 0 ... 1.
        options: ``route``, ``inputs`` and ``seed``, see `Translation`.

    Returns:
        Translated signal, float32 ``[C, T]`` or ``[C, H, W]``. A model that raises the resolution by an integer factor
        ``k`` returns ``k`` times the size of ``source``.

    Raises:
        UserError: an input or route is unknown, or a signal does not fit the model.
    """
    translation = Translation(generator, **options)
    signal = translation.source.parse(source, any_size=True).numpy()
    parts, done = [], 0
    if len(signal) != translation.channels:  # A spectrogram for a vocoder is processed in one piece.
        values = {**translation.others, translation.source.name: torch.from_numpy(signal)[None]}
        made = translation.game.generate(values, generator=translation.route)[0].float().cpu().numpy()
        spoken: NDArray[np.float32] = generator.modality.postprocess(made[None])[0]
        return spoken
    for part in translation.run(signal, signal.shape[1:]):
        parts.append(part)
        done += part.shape[1]
        if progress is not None:
            progress(done / (signal.shape[1] * translation.factors[0]))
    finished: NDArray[np.float32] = generator.modality.postprocess(np.concatenate(parts, axis=1)[None])[0]
    return finished


def stream_signal(
    generator: Any, blocks: Iterable[Any], *, sample_rate: int | None = None, **options: Any
) -> Iterator[NDArray[np.float32]]:
    """Translate a sound in blocks, for example from a microphone. Yield each part of the result as soon as it is known.

    All parts together are as long as all blocks together. Each channel is translated separately.

    Args:
        generator: model whose network processes streams, see `Translation.streamed`.
        blocks: consecutive samples ``[C, n]`` or ``[n]`` in -1 ... 1. A block can have any length.
        sample_rate: sample rate of the blocks in Hz. Default: the rate of the model. At other rates, the sound is
            resampled to the rate of the model and back, which adds to the delay.
        options: ``route``, ``inputs`` and ``seed``, see `Translation`.

    Yields:
        Consecutive samples ``[C, n]`` of the result, float32. Samples are not clipped.

    Raises:
        UserError: the model does not process streams, there are no samples, or a block is invalid.

    Examples:
        >>> import audiogan, numpy as np
        >>> from audiogan.model.translation.signals import stream_signal
        >>> try:
        ...     list(stream_signal(audiogan.load("drums"), [np.zeros(100)]))
        ... except audiogan.UserError:
        ...     print("The drums do not translate sounds.")
        The drums do not translate sounds.
    """
    translation = Translation(generator, **options)
    if translation.streamed is None:
        raise UserError(f"{generator.name}: its network does not process streams; use apply with the whole signal")
    rate = translation.source.modality.sample_rate
    given, parts = sample_rate or rate, iter(blocks)
    first = next(parts, None)
    if first is None:
        raise UserError("the signal is empty")
    channels = len(np.atleast_2d(first))
    frames = 0

    def checked() -> Iterator[Array]:
        nonlocal frames
        for block in chain([first], parts):
            x = np.atleast_2d(np.asarray(block, np.float32))
            if x.ndim != 2 or len(x) != channels or not np.isfinite(x).all():
                raise UserError(f"expected finite samples [{channels}, n] in each block, got shape {list(x.shape)}")
            frames += x.shape[1]
            yield x.T

    low = (block.T for block in resample_blocks(checked(), channels, given, rate))
    made = (part.T for part in translation.run(low, channel_groups=channels))
    yield from fit_length(resample_blocks(made, channels, rate, given), lambda: frames)


def fit_length(blocks: Iterable[Array], frames: Callable[[], int]) -> Iterator[Array]:
    """Cut or pad a sound in blocks ``[n, C]`` to a length that is known at the end. Yield blocks ``[C, n]``.

    Args:
        blocks: consecutive samples. Resampling twice can add or remove samples.
        frames: function that returns the number of samples read so far. The result is never longer.
    """
    written = channels = 0
    held = None
    for block in blocks:
        channels = block.shape[1]
        joined = block if held is None else np.concatenate([held, block])
        now, held = joined[: frames() - written], joined[frames() - written :]
        written += len(now)
        if len(now):
            yield now.T
    if frames() > written and channels:
        yield np.zeros((channels, frames() - written), np.float32)


class Translation:
    """A generator with all inputs fixed except the signal to translate.

    Args:
        generator: the model.
        route: name or target class of the generator network, required for models with several.
        inputs: values of the other inputs by name. Signals of the size of the source are split into the same tiles. A
            mask may be left out and set later by `with_mask`.
        seed: seed of inputs that are drawn at random, such as latents. One value is used for the whole signal.

    Attributes:
        source: the signal input that is translated: the input named ``source``, or the first signal.
        mask: name of the input with the mask of missing pixels, for inpainting. None if the model has no such input.
        sound: True for sounds, False for images.
        channels: number of channels of the source.
        factors: size of the result divided by the size of the source, for each dimension. Known after `run` has yielded
            the first part.

    Raises:
        UserError: an input or route is unknown, or the model cannot translate signals.
    """

    def __init__(
        self, generator: Any, *, route: str | None = None, inputs: Mapping[str, Any] | None = None, seed: int = 0
    ) -> None:
        if not 0 <= seed < 2**63:
            raise UserError(f"seed={seed} must be a whole number from 0 to 2**63 - 1")
        self.generator, self.game, self.route = generator, generator.game, generator.routes.find_unambiguous(route)
        signals = {name: input for name, input in generator.inputs.items() if isinstance(input, Signal)}
        source = find_source(generator.inputs)
        if source is None:
            names = ", ".join(generator.inputs) or "none"
            drawn = "its inputs are drawn; `audiogan sample` makes new signals"
            hint = "leave out the input file" if generator.game.required_inputs else drawn
            raise UserError(f"{generator.name}: it has no signal as an input (inputs: {names}); {hint}")
        self.source: Signal = source
        self.shape, self.channels = self.source.shape, int(self.source.shape[0] or 1)
        self.sound = _is_sound(self.source, generator)
        self.mask = next((name for name, input in signals.items() if isinstance(input, MaskSignal)), None)
        parsed = {}
        for name, value in (inputs or {}).items():
            if name == self.source.name:
                raise UserError(f"input {name!r}: the signal that is translated; leave it out")
            input = self.game.get_input(name)
            parsed[name] = input.parse(value, any_size=True) if name in signals else input.parse(value)
        left_out = [self.source.name, *([self.mask] if self.mask and self.mask not in parsed else [])]
        self.others: dict[str, Tensor] = self.game.draw(1, Seeded(seed), excluded_names=left_out, **parsed)
        self.factors: tuple[int, ...] = ()

    def with_mask(self, mask: Any) -> Translation:
        """Return a copy of this translation with a mask for inpainting.

        Args:
            mask: path of an image with white for missing pixels, or an array ``[1, H, W]``, 1 for missing pixels.

        Raises:
            UserError: the model has no mask as an input, the mask was set already, or the file cannot be read.
        """
        if self.mask is None:
            raise UserError(f"{self.generator.name}: it has no mask as an input; leave out the mask")
        if self.mask in self.others:
            raise UserError(f"input {self.mask!r}: the mask is given twice; leave out one of the two")
        made = copy.copy(self)
        made.others = {**self.others, self.mask: self.generator.inputs[self.mask].parse(mask, any_size=True)[None]}
        return made

    @property
    def extends_bandwidth(self) -> bool:
        """Whether the model adds frequencies that sources of a lower sample rate lack."""
        return bool(getattr(self.game.nets[self.route], "extends_bandwidth", False))

    @property
    def receptive_field(self) -> int | None:
        """Receptive field on each side of an output value, in source samples. None if unbounded or unknown."""
        spaces = (self.source.representation, self.game.representation)
        plain = all(space is None or space.pointwise for space in spaces)
        return getattr(self.game.nets[self.route], "receptive_field", None) if plain else None

    @property
    def streamed(self) -> StreamingNetwork | None:
        """The network if it processes blocks of a mono sound in order, see `StreamingNetwork`. None for others."""
        network = self.game.nets[self.route]
        plain = all(s is None or s.pointwise for s in (self.source.representation, self.game.representation))
        suits = plain and self.sound and self.channels == 1 and network.takes == {self.source.name}
        return network if suits and isinstance(network, StreamingNetwork) else None

    @property
    def _device(self) -> torch.device:
        found: torch.device = next(self.game.parameters()).device
        return found

    def run(
        self,
        source: Array | Iterable[Array],
        sizes: tuple[int, ...] | None = None,
        *,
        channel_groups: int = 1,
        tile_size: int | None = None,
    ) -> Iterator[Array]:
        """Translate a signal in parts.

        Args:
            source: float32 ``[channel_groups * C, *sizes]``, or an iterable of consecutive parts.
            sizes: spatial sizes of the source, if known.
            channel_groups: number of channel groups. The model is applied to each group of ``C`` channels separately.
            tile_size: tile size, set only by tests. It does not affect the result. Networks that process streams
                receive blocks of this length instead of tiles.

        Yields:
            Consecutive parts of the network output, before `Modality.postprocess`.
        """
        if (network := self.streamed) is not None:
            blocks = [source] if isinstance(source, np.ndarray) else source
            self.factors = (1,)
            return run_stream(network, blocks, self._device, self.generator.name, tile_size)
        if self.source.whole:
            self.factors = (1,)
            return iter([self._process_whole([source] if isinstance(source, np.ndarray) else source, channel_groups)])
        beside = self._tiled_signals(sizes)
        if beside:
            source = self._with_tiled_signals([source] if isinstance(source, np.ndarray) else source, beside)
        alone = self._device.type == "cpu"

        def process(tiles: Sequence[Array]) -> Sequence[Array]:
            jobs = [(tile, channel_groups, beside) for tile in tiles]
            done = WORKERS.map(self._process_tile, jobs) if alone else [self._process_tile(job) for job in jobs]
            self.factors = tuple(b // a for a, b in zip(tiles[0].shape[1:], done[0].shape[1:], strict=True))
            return done

        multiple = int(getattr(self.game.nets[self.route], "multiple", 1))
        return apply_tiled(source, process, self.shape[1:], self.receptive_field, multiple, tile_size)

    def _with_tiled_signals(self, parts: Iterable[Array], beside: list[str]) -> Iterator[Array]:
        """Yield the parts of the source, with the same rows of other signals appended as channels."""
        row = 0
        for part in parts:
            rows = slice(row, row + part.shape[1])
            yield np.concatenate([part, *(self.others[name][0, :, rows].numpy() for name in beside)])
            row = rows.stop

    def _check_mask(self, sizes: tuple[int, ...] | None) -> None:
        """Raise `UserError` if the mask of a model for inpainting is missing, has another size or covers everything."""
        if self.mask is None:
            return
        if self.mask not in self.others:
            raise UserError(f"{self.mask}: missing; use --mask FILE, or inputs={{{self.mask!r}: FILE}} in Python")
        mask = self.others[self.mask]
        if tuple(mask.shape[2:]) != sizes:
            given, wanted = (" x ".join(map(str, reversed(size))) for size in (tuple(mask.shape[2:]), sizes or ()))
            raise UserError(f"{self.mask}: it has {given} pixels, but the picture has {wanted}; make the sizes equal")
        if bool(mask.all()):
            raise UserError(f"{self.mask}: all pixels are missing (white); leave the known pixels black")

    def _tiled_signals(self, sizes: tuple[int, ...] | None) -> list[str]:
        """Return the other signals that have the size of the source. They are split into the same tiles."""
        self._check_mask(sizes)
        found = []
        for name, x in self.others.items():
            trained = self.generator.inputs[name].shape[1:]
            if not isinstance(self.generator.inputs[name], Signal):
                continue
            if tuple(x.shape[2:]) == sizes:
                found.append(name)
            elif any(wanted not in (None, size) for wanted, size in zip(trained, x.shape[2:], strict=True)):
                also = "" if sizes is None else f" or that of the source, {list(sizes)}"
                raise UserError(f"{name}: it has the size {list(x.shape[2:])}; give the size {list(trained)}{also}")
        return found

    def _process_whole(self, parts: Iterable[Array], groups: int) -> Array:
        """Translate a sound in one piece. The result has the length of the sound."""
        joined = np.concatenate([np.zeros((groups * self.channels, 0), np.float32), *parts], axis=1)
        if not joined.shape[1]:
            raise UserError("the signal is empty")
        return self._process_tile((joined, groups, []))[:, : joined.shape[1]]

    @torch.inference_mode()
    def _process_tile(self, job: tuple[Array, int, list[str]]) -> Array:
        """Process one tile, with each group of channels separately."""
        tile, groups, beside = job
        sizes = [*[self.channels] * groups, *(self.others[name].shape[1] for name in beside)]
        parts = torch.tensor(tile)[None].split(sizes, dim=1)
        others = {**self.others, **dict(zip(beside, parts[groups:], strict=True))}
        if self.mask in beside and not bool(others[self.mask].any()) and self.generator.shape[0] == self.channels:
            return tile[: groups * self.channels]  # No pixels are missing, so nothing is filled.
        results = []
        for part in parts[:groups]:
            out = self.game.generate({**others, self.source.name: part}, generator=self.route)[0].float().cpu().numpy()
            if not np.isfinite(out).all():
                raise UserError(f"{self.generator.name}: its {self.generator.modality.noun}s are not finite numbers")
            results.append(out)
        return np.concatenate(results)


def find_source(inputs: Mapping[str, Input]) -> Signal | None:
    """Return the signal that a model translates: the input named ``source``, or the first signal.

    Args:
        inputs: inputs of the model by name.

    Returns:
        The input, or None if no input is a signal.
    """
    signals = {name: input for name, input in inputs.items() if isinstance(input, Signal)}
    return signals.get("source") or next(iter(signals.values()), None)


def _is_sound(source: Signal, generator: Any) -> bool:
    """Return whether a model translates sounds to sounds. Raise `UserError` unless the model translates
    sounds to sounds or images to images."""
    sound = [kind.sample_rate is not None for kind in (source.modality, generator.modality)]
    ranks = (len(source.shape), len(generator.shape))
    if (all(sound) and ranks == (2, 2)) or (not any(sound) and ranks == (3, 3)):
        return all(sound)
    ends = f"{source.modality.noun} to {generator.modality.noun}"
    raise UserError(f"{generator.name}: from {ends} cannot be applied; only pictures to pictures and sounds to sounds")
