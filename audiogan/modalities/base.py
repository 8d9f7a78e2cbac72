"""`Modality`, the base class for kinds of signals, and helpers that its subclasses share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.features.embedding import Embedding
from audiogan.modalities.animation import MAX_FRAME_PIXELS, animate
from audiogan.modalities.drawing.png import open_png
from audiogan.utils.text import printable

PathLike = str | os.PathLike[str]
Titles = Sequence[str] | None
Signals = Mapping[str, np.ndarray]

TOLERANCE = 1e-3
"""Largest amount by which a value may exceed full scale, because resamplers and codecs round values."""


class Modality:
    """Base class for modalities. A modality reads, writes, displays and compares one kind of signal.

    Subclasses are frozen dataclasses with a few settings. One signal is an array: a sound ``[C, T]``, an image
    ``[C, H, W]`` or a point ``[D]``. In the methods below, ``x`` is a batch ``[N, *shape]`` unless stated otherwise.

    A subclass implements `save`, `sheet`, `load`, `convert` and `embedding`. The other methods have defaults.

    Attributes:
        noun: name of one signal in messages, in the singular.
        suffix: suffix of the files that `save` writes, with the dot.
        single: True if a file holds one signal. False if `save` writes a batch to one file and `load` may return a
            batch.
        edge: full scale. Values lie within ``-edge ... edge``. None if values are unbounded or not numeric.
        output_name: name of the output of an exported model. None if models of this modality cannot be exported.
        sample_rate: sample rate in Hz. None if signals have no time axis.
        animated: whether the previews of a run are joined into an animation when training ends.
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
        """Return a configuration (``_target_`` and arguments) that builds this modality."""
        settings = {name: _plain(value) for name, value in vars(self).items()}
        module = type(self).__module__
        # The configuration names the class by its package, because the submodule may change between versions.
        module = "audiogan.modalities" if module.startswith("audiogan.") else module
        return {"_target_": f"{module}.{type(self).__name__}", **settings}

    def same_kind(self, other: Modality | None) -> bool:
        """Return whether signals of the modality ``other`` can be displayed and measured by this modality."""
        return type(other) is type(self)

    def check_shape(self, shape: Sequence[int]) -> None:
        """Check that this modality can display and save signals of the given shape.

        Raises:
            UserError: the shape or a setting of the modality is not supported.
        """

    # Reading and writing

    def load(self, path: PathLike, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Read a file as one signal.

        Args:
            path: the file.
            shape: shape of the model's signals. Only ``shape[0]`` is used: the signal is converted to this number of
                channels. The other sizes are those of the file.

        Returns:
            float32 array with as many dimensions as ``shape``.

        Raises:
            UserError: the file cannot be read.
        """
        raise NotImplementedError(f"{type(self).__name__}.load")

    def convert(self, value: Any, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Convert an array, tensor or Pillow image to one signal.

        Args:
            value: array or tensor, or a Pillow image for images. Integers are divided by the full scale of their type.
                Floating-point values must lie within ``-edge ... edge``.
            shape: shape of the model's signals. Only ``shape[0]`` is used: the signal is converted to this number of
                channels. The other sizes are those of ``value``.

        Returns:
            float32 array with as many dimensions as ``shape``.

        Raises:
            UserError: ``value`` has an unsupported type, or its values are out of range.
        """
        raise NotImplementedError(f"{type(self).__name__}.convert")

    def save(self, path: PathLike, x: np.ndarray, comment: str | None = None) -> None:
        """Write one signal to a file, atomically. If `single` is False, write a batch.

        Args:
            path: the file. Its name must end in `suffix`. Missing folders are created.
            x: one signal ``[*shape]``, or a batch ``[N, *shape]`` if `single` is False.
            comment: text to store in the file. Ignored by formats without comments.
        """
        raise NotImplementedError(f"{type(self).__name__}.save")

    @staticmethod
    def read_comment(path: PathLike) -> str:
        """Return the comment that `save` stored in a file; an empty string if the file has no comment.

        Raises:
            UserError: the file cannot be read.
        """
        return ""

    def postprocess(self, x: np.ndarray) -> np.ndarray:
        """Postprocess outputs of the generator: scale or clamp them to the range of the training data."""
        return np.asarray(x, np.float32)

    def postprocess_tensor(self, x: Tensor) -> Tensor:
        """Apply `postprocess` to a tensor. Uses only operations that can be exported to ONNX and TorchScript."""
        return x

    def concatenate(self, x: np.ndarray) -> np.ndarray | None:
        """Return all signals concatenated to one signal. None if the modality has no time axis."""
        return None

    # Pictures

    def sheet(self, path: PathLike, x: np.ndarray, titles: Titles = None, title: str | None = None) -> None:
        """Draw all signals in one PNG file, written atomically.

        Args:
            path: the PNG file. Missing folders are created.
            x: the signals ``[N, *shape]``.
            titles: one title per signal. By default the modality chooses the titles.
            title: headline of the picture.
        """
        raise NotImplementedError(f"{type(self).__name__}.sheet")

    def draw_columns(self, path: PathLike, columns: Signals, title: str | None = None, titles: Titles = None) -> None:
        """Draw one PNG file with one column per key of ``columns`` and one row per example, written atomically.

        Args:
            path: the PNG file. Missing folders are created.
            columns: header of each column -> signals ``[N, *shape]``, for example source, output and target. Signal
                sizes may differ between columns.
            title: headline of the picture.
            titles: one title per example.

        Raises:
            ValueError: ``columns`` is empty, or the numbers of examples or titles differ.
        """
        raise NotImplementedError(f"{type(self).__name__}.draw_columns")

    def draw_frame(self, x: np.ndarray, columns: int | None = None) -> np.ndarray:
        """Return one frame of an animation as uint8 pixels ``[height, width, 3]``. By default, it is the picture of
        `sheet`.

        Args:
            x: the signals ``[N, *shape]``. Frames with the same number of signals have the same size.
            columns: number of columns, for modalities that draw a grid. By default the grid is near-square.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.sheet(Path(folder) / "frame.png", x)
            with open_png(Path(folder) / "frame.png", MAX_FRAME_PIXELS) as picture:
                return np.asarray(picture.convert("RGB"))

    def write_preview(
        self, run_dir: PathLike, step: int, x: np.ndarray, titles: Titles = None, extra_columns: Signals | None = None
    ) -> None:
        """Write the preview ``previews/step-<step>.png`` of a run.

        Args:
            run_dir: the run folder.
            step: training step.
            x: outputs of the generator ``[N, *shape]``.
            titles: one title per signal.
            extra_columns: header -> signals ``[N, *shape]`` to draw next to the outputs. `add_output_column` defines
                the order of the columns. By default only the outputs are drawn.
        """
        path, title = preview_path(run_dir, step), f"step {step:,}"
        if extra_columns:
            self.draw_columns(path, add_output_column(x, extra_columns), title, titles)
        else:
            self.sheet(path, x, titles, title)

    def write_animation(self, run_dir: PathLike) -> Path:
        """Write ``previews/animation.gif`` of a run from its previews, and return the path. Calls `animate`."""
        return animate(run_dir)

    def log_tensorboard(self, writer: Any, tag: str, x: np.ndarray, step: int) -> None:
        """Write signals to TensorBoard. By default, nothing is written.

        Args:
            writer: ``torch.utils.tensorboard.SummaryWriter``.
            tag: name under which TensorBoard shows the signals.
            x: signals ``[N, *shape]``.
            step: training step.
        """

    # Measures

    def embedding(self, shape: Sequence[int]) -> Embedding:
        """Return the default feature extractor for signals of the given shape. It needs no training."""
        raise NotImplementedError(f"{type(self).__name__}.embedding")

    def embeddings(self, shape: Sequence[int]) -> list[Embedding]:
        """Return the feature extractors with which an evaluation computes metrics. The first is `embedding`."""
        return [self.embedding(shape)]

    def to_images(self, x: Tensor) -> Tensor:
        """Convert signals ``[B, *shape]`` to images ``[B, C, H, W]``, the inputs of an image classifier."""
        return x

    def image_settings_name(self, shape: Sequence[int]) -> str | None:
        """Return a name that identifies the settings of `to_images` for signals of the given shape.

        The result is None if `audiogan.metrics.spacing` cannot measure distances between the images.
        """
        return None

    def reference_metrics(self, output: np.ndarray, target: np.ndarray) -> dict[str, float]:
        """Return full-reference metrics: distances between outputs and their targets.

        Args:
            output: signals ``[N, *shape]``.
            target: signals of the same shape as ``output``.

        Returns:
            Name of each metric -> value, averaged over the pairs. `audiogan.modalities.references.BETTER` states
            whether lower or higher values are better.

        Raises:
            ValueError: the shapes differ, or there are no pairs.
        """
        from audiogan.modalities.references import l1

        return {"l1": l1(output, target)}

    def restoration_metrics(self, output: np.ndarray, target: np.ndarray, source: np.ndarray) -> dict[str, float]:
        """Return metrics that compare outputs with their targets and sources. By default, there are none.

        Args:
            output: signals ``[N, *shape]``.
            target: signals of the same shape.
            source: signals of the same shape.

        Returns:
            Name of each metric -> value. The part of a name before the first slash is a key of
            `audiogan.modalities.references.BETTER`.
        """
        return {}

    def speech_metrics(self, output: np.ndarray, target: np.ndarray) -> dict[str, float]:
        """Return full-reference metrics of speech, for sounds only. The arguments are those of `reference_metrics`.

        Raises:
            UserError: the modality is not `Sound`, or a package is missing.
        """
        raise UserError(f"speech metrics are defined for sounds, not for {self.noun}s")

    def sample_metrics(self, x: np.ndarray, real: np.ndarray | None = None) -> dict[str, float]:
        """Return metrics of a set of signals as a whole, without targets. By default, there are none.

        Args:
            x: signals ``[N, *shape]``.
            real: real signals ``[M, *shape]``. Metrics that compare ``x`` with real signals are left out if it is None.

        Returns:
            Name of each metric -> value. Higher values are better, unless `audiogan.modalities.appearance.BETTER`
            states another direction.
        """
        return {}


def preview_path(run_dir: PathLike, step: int) -> Path:
    """Return the path of the preview picture of a training step."""
    return Path(run_dir) / "previews" / f"step-{step:08d}.png"


def add_output_column(x: np.ndarray, extra_columns: Signals) -> dict[str, np.ndarray]:
    """Insert the outputs ``x`` into the columns of a comparison.

    The order of the result is: other columns, ``output``, ``target``. If ``extra_columns`` has a column ``output``, the
    columns are returned unchanged.
    """
    if "output" in extra_columns:
        return dict(extra_columns)
    columns = {name: signals for name, signals in extra_columns.items() if name != "target"}
    columns["output"] = x
    return columns | {name: signals for name, signals in extra_columns.items() if name == "target"}


def check_columns(columns: Mapping[str, Any], titles: Titles = None) -> int:
    """Return the number of rows of a comparison.

    Raises:
        ValueError: there are no columns or rows, or the lengths of columns and titles differ.
    """
    counts = {name: len(x) for name, x in columns.items()}
    if titles is not None:
        counts["titles"] = len(titles)
    if not columns or len(set(counts.values())) != 1 or not min(counts.values()):
        found = ", ".join(f"{printable(name)} {count}" for name, count in counts.items())
        raise ValueError(f"expected columns of the same number of examples, at least 1; got {found or 'no columns'}")
    return next(iter(counts.values()))


def as_array(value: Any, noun: str, accepted_types: str) -> np.ndarray:
    """Convert an array or tensor to a NumPy array.

    Args:
        value: array or tensor of numbers.
        noun: name of the value in error messages, see `Modality.noun`.
        accepted_types: description of the accepted types, for error messages.

    Raises:
        UserError: ``value`` is not an array of numbers, or is empty.
    """
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        # The tensor is converted to float32, because NumPy has no bfloat16.
        value = (value.float() if value.is_floating_point() else value).numpy()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        kind = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        raise UserError(f"{kind} is not {_article(noun)} {noun}; give {accepted_types}")
    if not value.size:
        raise UserError(f"an empty array {list(value.shape)} is not {_article(noun)} {noun}; give {accepted_types}")
    return value


def check_range(x: np.ndarray, noun: str) -> NDArray[np.float32]:
    """Check that floating-point values lie in -1 ... 1 and return them as float32.

    Values that exceed this range by at most `TOLERANCE` are clipped.

    Raises:
        UserError: values are out of range, NaN or infinite.
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
