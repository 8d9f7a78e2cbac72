"""PNG files: written whole or not at all, opened with care."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from audiogan.errors import UserError
from audiogan.files import check_file
from audiogan.writing import write_file


def save_png(path: str | os.PathLike[str], picture: Any, **options: Any) -> None:
    """Write a Pillow image, atomically. UserError if the file cannot be written; ``options`` as of `Image.save`."""
    content = io.BytesIO()  # of a full disk, Pillow says only "encoder error"
    picture.save(content, "PNG", **options)
    write_file(path, content.getbuffer())


@contextmanager
def open_png(path: str | os.PathLike[str], largest: int) -> Iterator[Any]:
    """Open a PNG of at most ``largest`` pixels with Pillow. The header decides, before pixels are decoded.

    Raises:
        UserError: no such file, not a PNG, damaged (also if that shows in the block only), or more pixels.
    """
    from PIL import Image, UnidentifiedImageError

    check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=["PNG"])
        with picture:
            if picture.width * picture.height > largest:
                size = f"{picture.width:,} x {picture.height:,} pixels"
                raise UserError(f"{path}: a picture of {size}; at most {largest:,} pixels are read")
            yield picture
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: too many pixels; at most {largest:,} are read") from error
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not a PNG file, or damaged") from error
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all of these for damaged files
        raise UserError(f"{path}: damaged ({error})") from error
