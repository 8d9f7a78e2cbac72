"""Tables of images from arrays and from .npz files."""

from __future__ import annotations

import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from audiogan.data.cache import open_or_build
from audiogan.data.columns import Column, Labels, Mirror, Signals
from audiogan.data.images.decode import crop_resize
from audiogan.data.images.scan import PIXELS, TARGETS, ImageSettings
from audiogan.data.kinds import IMAGE_SIDES
from audiogan.data.scan import ABOUT, hash_texts
from audiogan.data.table import Table, describe_table
from audiogan.data.verdicts import Scan
from audiogan.data.walk import file_version
from audiogan.errors import UserError
from audiogan.files import cache_dir
from audiogan.modalities.image import Image
from audiogan.modalities.reading.pictures import Picture
from audiogan.utils.text import printable

VERSION = 3  # Version of the cached data. Increase it when decoding changes, to invalidate old caches.
MAX_CLASSES = 10_000  # Maximum number of classes in a one-hot array.
MAX_NAME_BYTES = 4096  # Maximum size of a class name in bytes.
CHUNK_IMAGES = 1024  # Number of images converted at a time, to limit memory use.
ARRAYS = (
    ("x", "y"),
    ("images", "labels"),
    ("image", "label"),
    ("x_train", "y_train"),
    ("train_x", "train_y"),
    ("trainx", "trainy"),
    ("train_images", "train_labels"),
    ("data", "labels"),
    ("data", "target"),
    ("arr_0", "arr_1"),
)
"""Recognised names of the arrays of images and of classes in an ``.npz`` file, in order of preference."""


def image_table(
    pixels: np.ndarray,
    class_indices: np.ndarray,
    labels: Sequence[str] = (),
    *,
    origin: str = "memory",
    mirror: bool = False,
    scan: Scan | None = None,
    recordings: np.ndarray | None = None,
) -> Table:
    """Return a table of images ``[C, H, W]``, float32 from -1 (black) to 1 (white), stored as bytes.

    Args:
        pixels: uint8 ``[N, C, H, W]``, an array or a memory map. A memory map keeps memory use independent of ``N``.
        class_indices: class index of each image, int64 ``[N]``. Empty for data without labels.
        labels: names of the classes. Empty for data without labels.
        origin: source of the images, for the description of the table.
        mirror: flip each image of a training batch horizontally with probability 1/2.
        scan: result of listing and decoding the data folder. ``None`` for images that are not read from a folder.
        recordings: index of the file of each image, int64 ``[N]``. `Table.split` keeps the images of a file together.
            ``None``: each image is from a file of its own.
    """
    if pixels.ndim != 4 or pixels.dtype != np.uint8 or len(class_indices) not in ((len(pixels),) if labels else (0,)):
        raise ValueError(f"{pixels.dtype} pixels {list(pixels.shape)} with {len(class_indices)} targets, {labels=}")
    columns: dict[str, Column] = {"x": Signals(pixels, Image(), group="picture")}
    if labels:
        columns["label"] = Labels(np.asarray(class_indices, np.int64), labels)
    total, (channels, height, width) = len(pixels), pixels.shape[1:]
    noun = f"{'grey' if channels == 1 else 'colour'} images of {width}x{height}"
    source = partial(describe_table, total=total, noun=noun, origin=origin)
    augment = {"picture": Mirror()} if mirror else None
    return Table(columns, total, source=source, scan=scan, augment=augment, recordings=recordings)


def from_npz(
    path: Path, settings: ImageSettings, labels: str | None, mirror: bool, cache: str | os.PathLike[str] | None
) -> Table:
    """Return a table of the images in an ``.npz`` file.

    The file needs an array of images, uint8 ``[N, H, W]``, ``[N, H, W, C]`` or ``[N, C, H, W]`` with 1, 3 or 4 (RGBA)
    channels. It may contain an array of classes (integers or text, ``[N]``, ``[N, 1]``, ``[1, N]`` or one-hot
    ``[N, K]``) and an array ``names`` with the class names. `ARRAYS` lists the accepted names of arrays. If the file
    has a training and a test part, the training part is read.

    Args:
        path: path of the file.
        settings: size and channels of the images.
        labels: ``auto`` to read the classes, or ``none``.
        mirror: flip each image of a training batch horizontally with probability 1/2.
        cache: cache folder. Default: the cache folder of the user.

    Raises:
        UserError: the file cannot be read or has another format.
    """
    if labels not in ("auto", "none", None):
        raise UserError(f"data.labels={labels}: choose auto or none for the .npz file {path}")
    try:
        with open(path, "rb") as file:
            info = os.fstat(file.fileno())
    except OSError as e:
        raise UserError(f"data.root={path}: {(e.strerror or str(e)).lower()}") from e
    try:
        group = hash_texts(str(path.resolve()), repr(settings), str(VERSION))[:16]
        key = f"{group}-{hash_texts(file_version(info))}"
        place = open_or_build(cache_dir("images", cache), key, partial(_build, path, settings))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as e:  # RuntimeError: an encrypted archive.
        raise UserError(f"{path}: not an .npz file that can be read ({e})") from e
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    pixels = np.memmap(place / PIXELS, np.uint8, "r").reshape(-1, *about["shape"])
    named = about["labels"] if labels == "auto" else []
    targets = np.load(place / TARGETS) if named else np.empty(0, np.int64)
    return image_table(pixels, targets, named, origin=str(path), mirror=mirror)


def _build(path: Path, settings: ImageSettings, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        x, y = _members(archive, path)
        with archive.open(x) as stream, open(folder / PIXELS, "wb") as out:
            count, shape = _convert(stream, out, settings, f"{path}: array {x.removesuffix('.npy')}")
        labels, targets = _classes(archive, path, y, count)
    np.save(folder / TARGETS, targets)
    (folder / ABOUT).write_text(json.dumps({"labels": labels, "shape": shape}), encoding="utf-8")


def _members(archive: zipfile.ZipFile, path: Path) -> tuple[str, str | None]:
    """Return the archive members with the images and with the classes. The second is ``None`` without classes."""
    held = {name.removesuffix(".npy").lower(): name for name in archive.namelist()}
    known = list(dict.fromkeys(name for name, _ in ARRAYS if name in held))
    if {"x", "images"} <= held.keys() or {"y", "labels"} <= held.keys():
        two = " and ".join(("x", "images") if "images" in held and "x" in held else ("y", "labels"))
        raise UserError(f"{path}: it contains both {two}; keep one of them")
    if not known:
        listed = ", ".join(printable(name.removesuffix(".npy")) for name in archive.namelist()[:20]) or "nothing"
        names = ", ".join(dict.fromkeys(name for name, _ in ARRAYS))
        raise UserError(f"{path}: no array of images; it contains {listed}; known names are {names}")
    x = known[0]
    beside = [classes for name, classes in ARRAYS if name == x]
    beside += ["y", "labels"] if x in ("x", "images") else []
    y = next((name for name in beside if name in held), None)
    return held[x], held[y] if y is not None else None


def _read_npy_header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype]:
    """Return (shape, dtype) of an .npy array. Raise `UserError` for Python objects and Fortran order."""
    try:
        major, _ = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except ValueError as e:
        raise UserError(f"{where} cannot be read ({str(e).splitlines()[0]})") from e
    if dtype.hasobject:
        raise UserError(f"{where} contains Python objects; save it as plain numbers or text")
    if fortran and len(shape) > 1:
        raise UserError(f"{where} is in Fortran order; save it with np.ascontiguousarray")
    return shape, dtype


def _convert(stream: IO[bytes], out: IO[bytes], s: ImageSettings, where: str) -> tuple[int, list[int]]:
    """Convert images to the size and channels of the settings, in chunks.

    Returns:
        The number of images and their shape ``[C, H, W]``.
    """
    shape, dtype = _read_npy_header(stream, where)
    if dtype != np.uint8:
        raise UserError(f"{where} is {dtype}; images are uint8, 0 (black) to 255")
    last = len(shape) == 4 and shape[3] in (1, 3, 4)
    if 0 in shape or not (len(shape) == 3 or last or (len(shape) == 4 and shape[1] in (1, 3, 4))):
        raise UserError(f"{where} has shape {list(shape)}; images are [N, H, W], [N, H, W, C] or [N, C, H, W]")
    if max(shape[1:]) > IMAGE_SIDES[1]:
        raise UserError(f"{where} has shape {list(shape)}; images have at most {IMAGE_SIDES[1]:,} pixels a side")
    made: tuple[int, ...] = ()
    for chunk in _chunks(stream, shape, where):
        chunk = chunk[:, None] if chunk.ndim == 3 else chunk.transpose(0, 3, 1, 2) if last else chunk
        channels = s.channels or (1 if chunk.shape[1] == 1 else 3)
        if (s.size and chunk.shape[2:] != (s.size, s.size)) or chunk.shape[1] != channels:
            chunk = np.stack([convert_image(image, s.size, channels) for image in chunk])
        out.write(np.ascontiguousarray(chunk).tobytes())
        made = chunk.shape[1:]
    return shape[0], list(made)


def _chunks(stream: IO[bytes], shape: tuple[int, ...], where: str) -> Iterator[np.ndarray]:
    each = math.prod(shape[1:])
    for start in range(0, shape[0], CHUNK_IMAGES):
        n = min(CHUNK_IMAGES, shape[0] - start)
        data = stream.read(n * each)
        if len(data) != n * each:
            raise UserError(f"{where} is incomplete: it contains {start + len(data) // each:,} of {shape[0]:,} images")
        yield np.frombuffer(data, np.uint8).reshape(n, *shape[1:])


def convert_image(image: np.ndarray, size: int | None, channels: int) -> np.ndarray:
    """Return the image as ``[C, H, W]`` with the given number of channels. Crop and resize it if ``size`` is set."""
    flat = Picture(image[:3], image[3] if len(image) == 4 else None).flatten_alpha(channels)
    return crop_resize(flat, size, size) if size else flat


def _classes(archive: zipfile.ZipFile, path: Path, member: str | None, count: int) -> tuple[list[str], np.ndarray]:
    """Return the class names and the class index of each image. Both are empty for a file without classes."""
    if member is None:
        return [], np.empty(0, np.int64)
    where = f"{path}: array {member.removesuffix('.npy')}"
    y = _read_array(archive, member, where, MAX_CLASSES * count)
    if y.shape in ((count, 1), (1, count)):  # Keras stores classes in a column. MATLAB stores classes in a row.
        y = y.reshape(count)
    if y.ndim == 2 and len(y) == count and y.dtype.kind in "iubf" and (y.max(1) == 1).all() and (y.sum(1) == 1).all():
        y = y.argmax(1)
    if y.shape != (count,):
        raise UserError(f"{where} has shape {list(y.shape)}; expected one class for each of the {count:,} images")
    if y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.rint(y)).all():
        y = y.astype(np.int64)
    if y.dtype.kind not in "iubU":
        raise UserError(f"{where} is {y.dtype}; classes are whole numbers or text")
    values, targets = np.unique(y, return_inverse=True)
    if "names.npy" in archive.namelist():
        names = _read_array(archive, "names.npy", f"{path}: array names", 1 << 20)
        counts = y.dtype.kind in "iu" and 0 <= y.min() <= y.max() < names.size
        if names.ndim != 1 or names.dtype.kind != "U" or not counts:
            raise UserError(f"{path}: array names must be text, one for each number in {member.removesuffix('.npy')}")
        return [str(name) for name in names], y.astype(np.int64)
    return [str(value) for value in values], targets.reshape(-1).astype(np.int64)


def _read_array(archive: zipfile.ZipFile, member: str, where: str, most: int) -> np.ndarray:
    """Return an archive member as an array. Raise `UserError` if it has more than ``most`` values."""
    with archive.open(member) as stream:
        shape, dtype = _read_npy_header(stream, where)
    if math.prod(shape) > most or dtype.itemsize > MAX_NAME_BYTES:
        raise UserError(f"{where} has shape {list(shape)} and type {dtype}; this is too large for classes")
    with archive.open(member) as stream:
        try:
            return np.lib.format.read_array(stream, allow_pickle=False)
        except ValueError as e:
            raise UserError(f"{where} cannot be read ({str(e).splitlines()[0]})") from e
