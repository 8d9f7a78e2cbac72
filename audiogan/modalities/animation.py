"""Animations of the previews of a run."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from audiogan.errors import UserError
from audiogan.files import is_regular_file
from audiogan.modalities.drawing.movies import write_gif
from audiogan.modalities.drawing.png import open_png

PathLike = str | os.PathLike[str]

MAX_FRAME_PIXELS = 1 << 26
"""Largest number of pixels of a preview picture. Larger pictures are left out of the animation."""


def animate(run_dir: PathLike, seconds: float = 8.0, max_frames: int = 160) -> Path:
    """Join the previews of a run into ``previews/animation.gif``.

    Pictures that cannot be read or that differ in size from the last picture are skipped.

    Args:
        run_dir: the run folder.
        seconds: target duration of the animation. Each frame lasts 0.04 s to 0.5 s, and the last frame 2 s.
        max_frames: largest number of frames. If there are more previews, evenly spaced ones are chosen.

    Returns:
        Path of the GIF file.

    Raises:
        UserError: the run has no readable preview.
    """
    folder = Path(run_dir) / "previews"
    paths = sorted(
        p for p in folder.glob("step-*.png") if re.fullmatch(r"step-\d+\.png", p.name) and is_regular_file(p)
    )
    if not paths:
        raise UserError(f"{folder}: no preview to animate; train with callbacks.previews.every below trainer.steps")
    count = min(max_frames, len(paths))
    chosen = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, count).round().astype(int))]
    frames: list[np.ndarray] = []
    for path in reversed(chosen):  # The last preview comes first, because all frames must have its size.
        try:
            with open_png(path, MAX_FRAME_PIXELS) as picture:
                if not frames or picture.size == frames[0].shape[1::-1]:
                    frames.append(np.asarray(picture.convert("RGB")))
        except UserError:
            continue
    frames.reverse()
    if not frames:
        raise UserError(f"{folder}: no preview in it can be read")
    each = int(min(50, max(4, 100 * seconds / len(frames))))
    target = folder / "animation.gif"
    write_gif(target, frames, [each] * (len(frames) - 1) + [200], frames[-1:])
    return target
