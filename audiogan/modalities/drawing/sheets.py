"""Recognition of contact sheets written by audiogan, so that commands do not overwrite other pictures."""

from __future__ import annotations

import os
from contextlib import suppress

from audiogan.errors import UserError
from audiogan.modalities.drawing.png import open_png
from audiogan.modalities.drawing.spectrograms import BACKGROUND

SHEET_NAME = "contact-sheet.png"
MAX_PIXELS = 1 << 28
"""Largest number of pixels of a contact sheet."""


def check_sheet_overwritable(path: str | os.PathLike[str]) -> None:
    """Raise `UserError` if the file at ``path`` exists and is not a contact sheet written by audiogan.

    The check compares the colour of the first pixel with the background colour of contact sheets.
    """
    from PIL import ImageColor

    if not os.path.lexists(path):
        return
    with suppress(UserError), open_png(path, MAX_PIXELS) as sheet:
        if sheet.mode in ("RGB", "RGBA") and sheet.getpixel((0, 0))[:3] == ImageColor.getrgb(BACKGROUND):
            return
    raise UserError(f"{path}: not a contact sheet of audiogan; rename it, or choose another folder")
