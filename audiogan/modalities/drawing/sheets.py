"""Contact sheets that a command may replace."""

from __future__ import annotations

import os
from contextlib import suppress

from audiogan.errors import UserError
from audiogan.modalities.drawing.png import open_png
from audiogan.modalities.drawing.spectrograms import BACKGROUND

NAME = "contact-sheet.png"
LARGEST = 1 << 28
"""Most pixels of a contact sheet."""


def check_sheet(path: str | os.PathLike[str]) -> None:
    """Raise UserError if something other than a contact sheet of audiogan is at ``path``."""
    from PIL import ImageColor

    if not os.path.lexists(path):
        return
    with suppress(UserError), open_png(path, LARGEST) as sheet:
        if sheet.mode in ("RGB", "RGBA") and sheet.getpixel((0, 0))[:3] == ImageColor.getrgb(BACKGROUND):
            return
    raise UserError(f"{path}: not a contact sheet of audiogan; rename it, or choose another folder")
