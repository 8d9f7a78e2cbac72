"""What every modality offers, and what two of them share."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from torch import Tensor

from audiogan.errors import UserError
from audiogan.files import is_plain
from audiogan.png import open_png
from audiogan.writing import write_file

LARGEST = 1 << 26
"""Most pixels of a preview that goes into an animation."""

if TYPE_CHECKING:
    from audiogan.metrics.embedding import Embedding


class Modality(Protocol):
    """How signals of a kind are finished, saved, shown and measured: a frozen dataclass of a few plain values.

    Attributes:
        noun: what a person calls one of them.
        suffix: of the file that `save` writes.
        single: whether a file holds one signal (`save(path, x)` with ``x`` of one signal's shape). If not, `save` takes
            all samples ``[N, *shape]``.
    """

    noun: ClassVar[str]
    suffix: ClassVar[str]
    single: ClassVar[bool]

    def finish(self, x: np.ndarray) -> np.ndarray:
        """Signals ``[N, *shape]`` brought to the level or range in which they are used."""
        ...

    def save(self, path: str | os.PathLike[str], x: np.ndarray, comment: str | None = None) -> None:
        """Write a file, atomically, with a comment in it where that has a place."""
        ...

    def sheet(
        self,
        path: str | os.PathLike[str],
        x: np.ndarray,
        titles: Sequence[str] | None = None,
        title: str | None = None,
    ) -> None:
        """Write one PNG that shows all signals ``[N, *shape]``, atomically."""
        ...

    def preview(
        self, run_dir: str | os.PathLike[str], step: int, x: np.ndarray, titles: Sequence[str] | None = None
    ) -> None:
        """Write ``previews/step-<step>.png`` (and what else belongs there) of a run."""
        ...

    def board(self, writer: Any, tag: str, x: np.ndarray, step: int) -> None:
        """Show signals ``[N, *shape]`` in TensorBoard."""
        ...

    def embedding(self, shape: Sequence[int]) -> Embedding:
        """The training-free extractor of signals of this shape."""
        ...

    def picture(self, x: Tensor) -> Tensor:
        """Signals ``[B, *shape]`` as a small image classifier looks at them: ``[B, C, H, W]``."""
        ...


def preview_path(run_dir: str | os.PathLike[str], step: int) -> Path:
    """Where the picture of a preview lies."""
    return Path(run_dir) / "previews" / f"step-{step:08d}.png"


def animate(run_dir: str | os.PathLike[str], seconds: float = 8.0, most: int = 160) -> Path:
    """Join the preview pictures of a run into ``previews/animation.gif``: they pass within ``seconds``, the last stays.

    Of more than ``most`` pictures, that many at even distances are taken. Pictures that cannot be read, or have another
    size than the last, are skipped; the size is judged before the pixels are unpacked.

    Raises:
        UserError: there is no preview.
    """
    from PIL import Image

    folder = Path(run_dir) / "previews"
    paths = sorted(p for p in folder.glob("step-*.png") if re.fullmatch(r"step-\d+\.png", p.name) and is_plain(p))
    if not paths:
        raise UserError(f"{folder}: no preview to animate; train with callbacks.previews.every below trainer.steps")
    chosen = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, min(most, len(paths))).round().astype(int))]
    frames: list[Any] = []
    for path in reversed(chosen):  # the last preview says how large all are
        try:
            with open_png(path, LARGEST) as picture:
                if not frames or picture.size == frames[0].size:
                    frames.append(picture.convert("RGB"))
        except UserError:
            continue
    frames.reverse()
    if not frames:
        raise UserError(f"{folder}: no preview in it can be read")
    # One palette for all frames: colours must not flicker from one to the next.
    palette = frames[-1].quantize(256, method=Image.Quantize.MEDIANCUT)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    each = int(min(500, max(40, 1000 * seconds / len(frames))))
    times = [each] * (len(frames) - 1) + [2000]
    target = folder / "animation.gif"
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=False)
    write_file(target, content.getbuffer())
    return target
