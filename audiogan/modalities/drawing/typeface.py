"""The letters in pictures that are drawn with Pillow."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from audiogan.utils.text import printable

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont


@lru_cache(maxsize=8)
def font(size: int) -> FreeTypeFont:
    """DejaVu Sans, ``size`` pixels high: it comes with matplotlib, which need not be imported for it (0.7 s)."""
    from PIL import ImageFont

    home = find_spec("matplotlib")
    assert home is not None and home.origin is not None
    return ImageFont.truetype(str(Path(home.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def short(text: str, width: int, font: FreeTypeFont) -> str:
    """As much of a text, in one line, as fits into ``width`` pixels."""
    text = printable(" ".join(str(text).split()))[:200]
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
