"""The base class of modalities: how one kind of signal is read, written, shown and compared."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.features.embedding import Embedding
from audiogan.files import is_regular_file, write_file
from audiogan.modalities.drawing.png import open_png
from audiogan.utils.text import printable

PathLike = str | os.PathLike[str]
Titles = Sequence[str] | None
Signals = Mapping[str, np.ndarray]

LARGEST = 1 << 26
"""Largest number of pixels of a preview that becomes a frame of an animation."""
TOLERANCE = 1e-3
"""Values may exceed full scale by this much, the rounding error of a resampler or a codec."""


class Modality:
    """Base class of modalities, which are frozen dataclasses of a few plain values.

    A signal is an array of a modality's own shape: sounds ``[C, T]``, images ``[C, H, W]``, points ``[D]``. In the
    methods below, ``x`` is a batch ``[N, *shape]`` unless stated otherwise.

    A new modality implements `save`, `sheet`, `load`, `convert` and `embedding`. The other methods have defaults.

    Attributes:
        noun: name of one signal in messages, in the singular.
        suffix: suffix of the files that `save` writes, with its dot.
        single: whether a file holds one signal. If not, `save` takes a batch and `load` may return one.
        edge: full scale: values lie within ``-edge ... edge``. None: the values are unbounded, or not numbers.
        output_name: name of the output of an exported model. None: models of this modality cannot be exported.
        sample_rate: samples per second in Hz. None: the signal does not extend over time.
        animated: whether the previews of a training become an animation at its end.
    """

    noun: ClassVar[str] = "signal"
    suffix: ClassVar[str] = ""
    single: ClassVar[bool] = True
    edge: ClassVar[float | None] = None
    output_name: ClassVar[str | None] = None
    sample_rate: int | None = None
    animated: ClassVar[bool] = True

    # Settings

    def to_config(self) -> dict[str, Any]:
        """Return the settings as plain values from which a configuration builds this modality again."""
        settings = {name: _plain(value) for name, value in vars(self).items()}
        home = type(self).__module__
        home = "audiogan.modalities" if home.startswith("audiogan.") else home  # stored models name the shipped ones so
        return {"_target_": f"{home}.{type(self).__name__}", **settings}

    def same_kind(self, other: Modality | None) -> bool:
        """Return whether signals of another modality can be shown and measured as those of this one."""
        return type(other) is type(self)

    def check_shape(self, shape: Sequence[int]) -> None:
        """Check that signals of this shape can be shown and saved with these settings.

        Raises:
            UserError: they cannot; the message names the setting or the shape.
        """

    # Reading and writing

    def load(self, path: PathLike, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Read a file as one signal.

        Args:
            path: the file.
            shape: shape of the signals that are wanted. Its first size, the number of channels, decides how channels
                are mixed. The other sizes are those of the file.

        Returns:
            float32 array of the dimensions of ``shape``.

        Raises:
            UserError: the file cannot be read.
        """
        raise NotImplementedError(f"{type(self).__name__}.load")

    def convert(self, value: Any, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Convert a value from Python to one signal.

        Args:
            value: array or tensor; for images also a Pillow image. Integers are scaled by the full scale of their type.
                Floating-point values must already lie within ``-edge ... edge``.
            shape: as in `load`.

        Returns:
            float32 array of the dimensions of ``shape``.

        Raises:
            UserError: another kind of value, or values out of range.
        """
        raise NotImplementedError(f"{type(self).__name__}.convert")

    def save(self, path: PathLike, x: np.ndarray, comment: str | None = None) -> None:
        """Write one signal (a batch unless `single`) to a file, atomically.

        Args:
            path: the file; its name must end in `suffix`. Missing folders are created.
            x: the signal ``[*shape]``, or the batch.
            comment: text to store in the file, if the format allows it; see `read_comment`.
        """
        raise NotImplementedError(f"{type(self).__name__}.save")

    @staticmethod
    def read_comment(path: PathLike) -> str:
        """Return the comment that `save` stored in a file; empty if there is none.

        Raises:
            UserError: the file cannot be read.
        """
        return ""

    def finish(self, x: np.ndarray) -> np.ndarray:
        """Return generated signals at the level, or in the range, in which they are used."""
        return np.asarray(x, np.float32)

    def finish_tensor(self, x: Tensor) -> Tensor:
        """Do the same as `finish` with a tensor, by operations that can be exported."""
        return x

    def join(self, x: np.ndarray) -> np.ndarray | None:
        """Return all signals one after another as one signal, or None if that makes no sense."""
        return None

    # Pictures

    def sheet(self, path: PathLike, x: np.ndarray, titles: Titles = None, title: str | None = None) -> None:
        """Write one PNG that shows all signals, atomically.

        Args:
            path: the PNG file. Missing folders are created.
            x: the signals ``[N, *shape]``.
            titles: one title per signal.
            title: headline of the picture.
        """
        raise NotImplementedError(f"{type(self).__name__}.sheet")

    def compare(self, path: PathLike, columns: Signals, title: str | None = None, titles: Titles = None) -> None:
        """Write one PNG with a column per entry of ``columns`` and a row per example, atomically.

        Args:
            path: the PNG file. Missing folders are created.
            columns: header -> signals ``[N, *shape]``, for example source, output and target. Sizes may differ between
                columns.
            title: headline of the picture.
            titles: one title per example.

        Raises:
            ValueError: no columns, or columns of different lengths.
        """
        raise NotImplementedError(f"{type(self).__name__}.compare")

    def preview(
        self, run_dir: PathLike, step: int, x: np.ndarray, titles: Titles = None, beside: Signals | None = None
    ) -> None:
        """Write ``previews/step-<step>.png`` of a run.

        Args:
            run_dir: the run folder.
            step: training step.
            x: outputs of the generator ``[N, *shape]``.
            titles: one title per signal.
            beside: name -> signals to show beside the outputs. The column ``output`` is added before ``target``, after
                all others, unless it is there.
        """
        path, title = preview_path(run_dir, step), f"step {step:,}"
        if beside:
            self.compare(path, with_output(x, beside), title, titles)
        else:
            self.sheet(path, x, titles, title)

    def animation(self, run_dir: PathLike) -> Path:
        """Join the previews of a run into ``previews/animation.gif``; see `animate`."""
        return animate(run_dir)

    def board(self, writer: Any, tag: str, x: np.ndarray, step: int) -> None:
        """Write signals to TensorBoard. The default writes nothing."""

    # Measures

    def embedding(self, shape: Sequence[int]) -> Embedding:
        """Return the training-free extractor of features for signals of this shape."""
        raise NotImplementedError(f"{type(self).__name__}.embedding")

    def embeddings(self, shape: Sequence[int]) -> list[Embedding]:
        """Return all extractors that an evaluation uses. The first is `embedding`."""
        return [self.embedding(shape)]

    def picture(self, x: Tensor) -> Tensor:
        """Return signals ``[B, *shape]`` as images ``[B, C, H, W]`` for a small image classifier."""
        return x

    def picture_name(self, shape: Sequence[int]) -> str | None:
        """Return a name for the values of `picture` that states their settings.

        None: an evaluation does not measure distances between pictures (`audiogan.metrics.spacing`).
        """
        return None

    def references(self, output: np.ndarray, target: np.ndarray) -> dict[str, float]:
        """Compare outputs with their targets.

        Args:
            output: ``[N, *shape]``.
            target: ``[N, *shape]``, of the same shape.

        Returns:
            Name of each measure -> its value. `audiogan.modalities.references.BETTER` says which way is better.

        Raises:
            ValueError: shapes that differ, or no pairs.
        """
        from audiogan.modalities.references import l1

        return {"l1": l1(output, target)}

    def measures(self, x: np.ndarray) -> dict[str, float]:
        """Measure a batch on its own, without reference data; higher values are better. Empty by default."""
        return {}


def preview_path(run_dir: PathLike, step: int) -> Path:
    """Return the path of the picture of a preview."""
    return Path(run_dir) / "previews" / f"step-{step:08d}.png"


def with_output(x: np.ndarray, beside: Signals) -> dict[str, np.ndarray]:
    """Return the columns of a comparison: those of ``beside`` except the target, the output, the target.

    If ``beside`` has a column ``output``, it already is complete.
    """
    if "output" in beside:
        return dict(beside)
    columns = {name: signals for name, signals in beside.items() if name != "target"}
    columns["output"] = x
    return columns | {name: signals for name, signals in beside.items() if name == "target"}


def check_columns(columns: Mapping[str, Any], titles: Titles = None) -> int:
    """Return the number of rows of a comparison. ValueError for columns, or titles, of different lengths."""
    counts = {name: len(x) for name, x in columns.items()}
    if titles is not None:
        counts["titles"] = len(titles)
    if not columns or len(set(counts.values())) != 1 or not min(counts.values()):
        found = ", ".join(f"{printable(name)} {count}" for name, count in counts.items())
        raise ValueError(f"expected columns of the same number of examples, at least 1; got {found or 'no columns'}")
    return next(iter(counts.values()))


def as_array(value: Any, noun: str, kinds: str) -> np.ndarray:
    """Return an array or tensor as a NumPy array.

    Args:
        value: array or tensor.
        noun: noun of the modality, for messages.
        kinds: the accepted kinds of values, for messages.

    Raises:
        UserError: something else.
    """
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()  # NumPy has no bfloat16
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        kind = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        raise UserError(f"{kind} is not {_article(noun)} {noun}; give {kinds}")
    if not value.size:
        raise UserError(f"an empty array {list(value.shape)} is not {_article(noun)} {noun}; give {kinds}")
    return value


def in_range(x: np.ndarray, noun: str) -> NDArray[np.float32]:
    """Return floating-point values as float32.

    Raises:
        UserError: values beyond -1 ... 1, NaN or infinity.
    """
    if not np.isfinite(x).all():
        raise UserError(f"the {noun} has values that are NaN or infinite")
    low, high = float(x.min()), float(x.max())
    if max(-low, high) > 1 + TOLERANCE:
        raise UserError(f"the {noun} has values from {low:.4g} to {high:.4g}; scale them to -1 ... 1")
    return np.clip(x, -1, 1).astype(np.float32)


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _plain(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def animate(run_dir: PathLike, seconds: float = 8.0, most: int = 160) -> Path:
    """Join the previews of a run into ``previews/animation.gif``.

    Pictures that cannot be read, or that differ in size from the last one, are skipped. The size is checked before the
    pixels are decoded.

    Args:
        run_dir: the run folder.
        seconds: duration of all frames; the last one is shown for two more seconds.
        most: largest number of frames. Of more previews, so many at even distances are used.

    Raises:
        UserError: there is no preview.
    """
    from PIL import Image

    folder = Path(run_dir) / "previews"
    paths = sorted(
        p for p in folder.glob("step-*.png") if re.fullmatch(r"step-\d+\.png", p.name) and is_regular_file(p)
    )
    if not paths:
        raise UserError(f"{folder}: no preview to animate; train with callbacks.previews.every below trainer.steps")
    chosen = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, min(most, len(paths))).round().astype(int))]
    frames: list[Any] = []
    for path in reversed(chosen):  # the last preview decides the size
        try:
            with open_png(path, LARGEST) as picture:
                if not frames or picture.size == frames[0].size:
                    frames.append(picture.convert("RGB"))
        except UserError:
            continue
    frames.reverse()
    if not frames:
        raise UserError(f"{folder}: no preview in it can be read")
    # One palette for all frames, or colours flicker.
    palette = frames[-1].quantize(256, method=Image.Quantize.MEDIANCUT)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    each = int(min(500, max(40, 1000 * seconds / len(frames))))
    times = [each] * (len(frames) - 1) + [2000]
    target = folder / "animation.gif"
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=False)
    write_file(target, content.getbuffer())
    return target
