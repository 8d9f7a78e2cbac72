"""Font loading and text fitting for pictures drawn with Pillow."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from audiogan.utils.text import printable

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont


@lru_cache(maxsize=8)
def load_font(size: int) -> FreeTypeFont:
    """Return the font DejaVu Sans with a height of ``size`` pixels.

    The font file is part of matplotlib. It is found without importing matplotlib, which would take 0.7 s.
    """
    from PIL import ImageFont

    module = find_spec("matplotlib")
    assert module is not None and module.origin is not None
    return ImageFont.truetype(str(Path(module.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def truncate_text(text: str, width: int, font: FreeTypeFont) -> str:
    """Return the text on one line, cut with an ellipsis if it is wider than ``width`` pixels."""
    text = printable(" ".join(str(text).split()))[:200]
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
