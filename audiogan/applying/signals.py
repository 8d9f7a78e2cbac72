"""A generator as a function of one signal of any size."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.inputs import Input, Seeded, Signal
from audiogan.representations import Identity
from audiogan.tiling import Stream, exact, windows
from audiogan.workers import WORKERS

Array = NDArray[Any]
WINDOW = {1: 1 << 16, 2: 512}
"""Size of windows along dimensions in which the model was trained with any size, by number of dimensions."""
LARGEST_SEED = 2**63 - 1


def apply_signal(
    generator: Any,
    source: Any,
    *,
    route: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: Callable[[float], object] | None = None,
) -> NDArray[np.float32]:
    """Translate one signal of any size.

    If the network states a finite receptive field, tiles of the signal are processed with a margin of that size, and
    the result has no seams. Otherwise windows of the trained size fade into each other. A signal of the trained size is
    processed in one piece, as `Generator.sample` does it. On the CPU the bits do not depend on the number of threads.

    Args:
        generator: the model.
        source: a sound ``[C, T]`` at the sample rate of the model, a picture ``[C, H, W]``, or the path of a file; see
            `convert` and `load` of the modality. `apply_files` keeps more of a file: 16 bits, transparency, each
            channel of a sound.
        route: name or target class of the network, for a model with several generators.
        inputs: values of the other inputs, by name. Signals of the size of ``source`` are cut into tiles as it is.
        seed: of the inputs that are drawn, such as latents. One value serves the whole signal.
        progress: called with the share of the work that is done, 0 ... 1.

    Returns:
        float32 ``[C, T]`` or ``[C, H, W]``, ``k`` times the size of ``source`` for models that change the resolution.

    Raises:
        UserError: an unknown input or route, or a signal that does not fit.
    """
    translation = Translation(generator, route=route, inputs=inputs, seed=seed)
    signal = translation.parse(source)
    parts, done = [], 0
    for part in translation.run(signal):
        parts.append(part)
        done += part.shape[1]
        if progress is not None:
            progress(min(1.0, done / (signal.shape[1] * translation.factor(0))))
    whole = np.concatenate(parts, axis=1)
    finished: NDArray[np.float32] = generator.modality.finish(whole[None])[0]
    return finished


class Translation:
    """A generator with all inputs but its source.

    Args:
        generator, route, inputs, seed: see `apply_signal`.

    Attributes:
        source: the signal input that is translated.
        route: name of the network.
        kind: ``sound`` or ``picture``.
        channels: channels of the source; for a sound, the model can be applied to each group of so many channels.
    """

    def __init__(
        self, generator: Any, *, route: str | None = None, inputs: Mapping[str, Any] | None = None, seed: int = 0
    ) -> None:
        if not 0 <= seed <= LARGEST_SEED:
            raise UserError(f"seed={seed} must be a whole number from 0 to 2**63 - 1")
        self.generator, self.game = generator, generator.game
        self.route = generator.chosen(route)
        self.source = find_source(generator)
        self.shape = tuple(self.source.shape)
        self.channels = int(self.shape[0] or 1)
        self.kind = _kind(generator, self.source)
        requested = parsed_inputs(generator, inputs or {}, self.source.name)
        self.others: dict[str, Tensor] = self.game.draw(1, Seeded(seed), skip=(self.source.name,), **requested)
        self._beside: list[str] = []  # signals that are cut as the source is
        self.device = next((p.device for p in _parameters(self.game)), torch.device("cpu"))
        self._factors: tuple[int, ...] | None = None

    @property
    def network(self) -> Any:
        nets = dict(getattr(self.game, "nets", {}).items())
        return nets.get(self.route or "generator")

    @property
    def field(self) -> int | None:
        """The receptive field of the network in samples of the source; ``None``: unbounded or unknown."""
        field = getattr(self.network, "receptive_field", None)
        spaces = (self.source.representation, getattr(self.game, "representation", None))
        plain = all(space is None or isinstance(space, Identity) for space in spaces)
        return int(field) if field is not None and plain else None

    @property
    def multiple(self) -> int:
        """Sizes of tiles are multiples of this."""
        return int(getattr(self.network, "multiple", 1))

    @property
    def window(self) -> tuple[int, ...]:
        """The trained sizes; where the model was trained with any size, a default."""
        free = -(-WINDOW[len(self.shape) - 1] // self.multiple) * self.multiple
        return tuple(free if size is None else size for size in self.shape[1:])

    def factor(self, dimension: int) -> int:
        """How many times larger the result is than the source; known after the first part."""
        if self._factors is None:
            raise ValueError("nothing was translated yet")
        return self._factors[dimension]

    def parse(self, source: Any) -> Array:
        """Return a source ``[C, *sizes]`` as float32.

        Raises:
            UserError: it does not fit, or is not finite.
        """
        name, modality = self.source.name, self.source.modality
        wanted = (self.channels, *[None] * (len(self.shape) - 1))
        is_path = isinstance(source, str | os.PathLike)
        x = modality.load(source, wanted) if is_path else modality.convert(source, wanted)
        x = np.asarray(x, np.float32)
        if x.ndim != len(wanted) or len(x) != self.channels or 0 in x.shape:
            shown = ", ".join("any" if size is None else str(size) for size in wanted)
            raise UserError(f"{name}: expected shape [{shown}], got {list(x.shape)}")
        if not np.isfinite(x).all():
            raise UserError(f"{name}: it has values that are NaN or infinite")
        return x

    def run(self, source: Array | Stream, groups: int = 1, tile: int | None = None) -> Iterator[Array]:
        """Translate a signal.

        Args:
            source: float32 ``[groups * C, *sizes]``.
            groups: the model is applied to each group of ``C`` channels alone.
            tile: size of tiles, for tests; it has no effect on the result.

        Yields:
            Consecutive parts of the result, as the network makes them: `Modality.finish` was not called.
        """
        if isinstance(source, np.ndarray):
            source = self._with_signals(source)
        else:
            self._check_signals()
        stream = source if isinstance(source, Stream) else Stream(source)

        def process(tiles: Sequence[Array]) -> Sequence[Array]:
            jobs = [(tile, groups) for tile in tiles]
            alone = self.device.type == "cpu"
            done = WORKERS.map(self._made, jobs) if alone else [self._made(job) for job in jobs]
            if self._factors is None:
                self._factors = tuple(b // a for a, b in zip(tiles[0].shape[1:], done[0].shape[1:], strict=True))
            return done

        if self.field is None:
            yield from windows(stream, process, self.window)
        else:
            yield from exact(stream, process, self.field, self.multiple, tile, self.shape[1:])

    def _with_signals(self, source: Array) -> Array:
        """Append the other signals that have the size of the source as channels, so that they are cut as it is."""
        self._beside, layers = [], [source]
        for name, x in self.others.items():
            input = self.generator.inputs[name]
            if not isinstance(input, Signal) or x.dim() - 1 != source.ndim:
                continue
            if tuple(x.shape[2:]) == source.shape[1:]:
                self._beside.append(name)
                layers.append(x[0].numpy())
            elif tuple(x.shape[2:]) != tuple(input.shape[1:]):
                raise UserError(f"{name}: it has the size {list(x.shape[2:])}; the source has {list(source.shape[1:])}")
        return np.concatenate(layers) if len(layers) > 1 else source

    def _check_signals(self) -> None:
        """Raise UserError for other signals that would have to be cut as a stream is, which is not supported."""
        self._beside = []
        for name, x in self.others.items():
            shape = self.generator.inputs[name].shape
            if isinstance(self.generator.inputs[name], Signal) and any(
                wanted not in (None, size) for wanted, size in zip(shape, x.shape[1:], strict=True)
            ):
                raise UserError(f"{name}: for sound files it must have the trained size {list(shape[1:])}")

    @torch.inference_mode()
    def _made(self, job: tuple[Array, int]) -> Array:
        """Process one tile alone, each group of channels for itself."""
        tile, groups = job
        x, others = torch.tensor(tile)[None], dict(self.others)
        first = groups * self.channels
        for name in self._beside:
            last = first + self.others[name].shape[1]
            others[name], first = x[:, first:last], last
        results = []
        for i in range(groups):
            values = {**others, self.source.name: x[:, i * self.channels : (i + 1) * self.channels]}
            out = self.game.generate(values, generator=self.route)[0].float().cpu().numpy()
            if not np.isfinite(out).all():
                raise UserError(f"{self.generator.name}: its {self.generator.modality.noun}s are not finite numbers")
            results.append(out)
        return results[0] if groups == 1 else np.concatenate(results)


def find_source(generator: Any) -> Signal:
    """Return the input that is translated: the signal input named ``source``, else the first signal input.

    Raises:
        UserError: the model has none.
    """
    signals = {name: input for name, input in generator.inputs.items() if isinstance(input, Signal)}
    if not signals:
        names = ", ".join(generator.inputs) or "none"
        hint = "its inputs are drawn; `audiogan sample` makes new signals"
        raise UserError(f"{generator.name}: it has no signal as an input (inputs: {names}); {hint}")
    return signals["source"] if "source" in signals else next(iter(signals.values()))


def parsed_inputs(generator: Any, inputs: Mapping[str, Any], source: str) -> dict[str, Tensor]:
    """Parse values of inputs.

    Raises:
        UserError: an unknown name, the source, a value that does not fit, or a missing value that cannot be drawn.
    """
    known: Mapping[str, Input] = generator.inputs
    parsed = {}
    for name, value in inputs.items():
        input = generator.game.input(name)
        if name == source:
            raise UserError(f"input {name!r}: the signal that is translated; leave it out")
        parsed[name] = input.parse(value, any_size=True) if isinstance(input, Signal) else input.parse(value)
    if missing := [name for name, input in known.items() if not input.drawable and name not in (*parsed, source)]:
        raise UserError(f"{generator.name}: give the input {missing[0]}: --input {missing[0]}=VALUE")
    return parsed


def _kind(generator: Any, source: Signal) -> str:
    """Return ``sound`` or ``picture``; `UserError` for other signals."""
    modality, shape = generator.modality, generator.shape
    sound = [getattr(kind, "sample_rate", None) is not None for kind in (source.modality, modality)]
    if all(sound) and len(source.shape) == len(shape) == 2:
        return "sound"
    if not any(sound) and len(source.shape) == len(shape) == 3:
        return "picture"
    ends = f"{getattr(source.modality, 'noun', 'signal')} to {modality.noun}"
    raise UserError(f"{generator.name}: from {ends} cannot be applied; only pictures to pictures and sounds to sounds")


def _parameters(game: Any) -> Iterator[Tensor]:
    return game.parameters() if hasattr(game, "parameters") else iter(())
