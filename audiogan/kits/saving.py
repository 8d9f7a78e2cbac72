"""Writing kits for the tools musicians have."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import tarfile
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from audiogan.errors import UserError, reporting
from audiogan.files import read_small, replacing
from audiogan.kits import formats
from audiogan.kits.drums import role
from audiogan.kits.formats import Sample, Zone
from audiogan.kits.kit import Kit, Pad, velocities
from audiogan.kits.names import file_stem, safe, title
from audiogan.kits.rendering import LOUDNESS, Hit, render_hits
from audiogan.modalities.wav import COMMENT_BYTES, save_wav
from audiogan.model.bundle import shipped

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

FORMATS = ("sfz", "hydrogen", "decent", "wav")
FOLDERS = {"sfz": "samples/", "hydrogen": "", "decent": "Samples/", "wav": ""}
"""Where samples lie, as seen from the file that names them."""
KIT, SHEET = "kit.json", "contact-sheet.png"
PLACES = "model_files"
"""Key of ``kit.json``: paths of the model, the first relative to the folder of the kit, the others absolute."""
LARGEST_KIT = 1 << 24
"""Bytes of a kit.json that are read at most."""
SUBTYPES = {16: "PCM_16", 24: "PCM_24"}
STAMP = 1577836800
"""Date of everything in an archive, so that the same kit makes the same bytes: 2020."""


def save_kit(
    generator: Generator,
    kit: Kit,
    out: str | os.PathLike[str],
    format: str = "sfz",
    *,
    sample_rate: int = 44100,
    bits: int = 24,
    name: str | None = None,
    loudness: float = LOUDNESS,
    sheet: bool = False,
    locate: bool = False,
    echo: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write a kit into the folder ``out``, with its recipes (``kit.json``, and in every WAV: see `recall`).

    - ``sfz``: ``NAME.sfz`` and ``samples/``
    - ``hydrogen``: ``NAME.h2drumkit``
    - ``decent``: ``NAME.dspreset`` and ``Samples/``
    - ``wav``: files with General MIDI's note numbers in their names, and ``map.csv``

    A kit may be saved into one folder in several formats, and again: files that were written for the same kit are
    replaced. Anything else in the way is an error.

    Args:
        sample_rate: in Hz, see `render_hits`.
        bits: 16 or 24.
        name: of the kit; that of the folder by default. See `file_stem` for what its files are called.
        loudness: in LUFS, see `render_hits`.
        sheet: also draw ``contact-sheet.png``.
        locate: also write into ``kit.json`` where the model lies, relative to the kit and from the root of the disk.
        echo: called with a line about pads that are softer than asked.

    Returns:
        The files written.

    Raises:
        UserError: an unknown format or number of bits, a folder that cannot be used, or see `render_hits`.

    Examples:
        >>> from audiogan.kits import make_kit
        >>> g = audiogan.load("drums")
        >>> written = save_kit(g, make_kit(g, 2, seed=7), "my-kit", "sfz")
        >>> sorted(path.name for path in written if path.suffix != ".wav")
        ['kit.json', 'my-kit.sfz']
    """
    out = Path(out)
    if format not in FORMATS:
        raise UserError(f"format {format!r}: there are {', '.join(FORMATS)}")
    if bits not in SUBTYPES:
        raise UserError(f"bits={bits}: 16 or 24")
    name = unicodedata.normalize("NFC", out.resolve().name if name is None else name)
    called, stem = title(name) or "kit", file_stem(name)
    names = [[FOLDERS[format] + file for file in files] for files in _files(kit)]
    main = {"sfz": f"{stem}.sfz", "hydrogen": f"{stem}.h2drumkit", "decent": f"{stem}.dspreset", "wav": "map.csv"}
    loose = [] if format == "hydrogen" else [file for files in names for file in files]
    listed = [*loose, main[format], *([SHEET] if sheet else [])]
    _check_free(out, kit, listed)
    hits = render_hits(generator, kit, sample_rate, loudness)
    zones = [_zone(*row, sample_rate) for row in zip(kit.pads, names, hits, strict=True)]
    about = f"{len(kit.pads)} sounds of the model {title(kit.model)}"
    written: list[Path] = []
    made = [folder for folder in (out / FOLDERS[format], out, *out.parents) if not folder.exists()]
    with reporting(f"{out}: cannot be written to"):
        out.mkdir(parents=True, exist_ok=True)
    fresh = [path for path in (out / file for file in [KIT, *listed]) if not path.exists()]
    try:
        # First: the same command can then finish a kit that was interrupted.
        written.append(_write(out / KIT, _located(generator, kit, out) if locate else kit.to_json().encode()))
        if format == "hydrogen":
            parts = _wavs(out, kit, names, hits, sample_rate, bits)
            parts |= {"drumkit.xml": formats.hydrogen(called, zones, about).encode(), KIT: kit.to_json().encode()}
            content = _archive(file_stem(name, ascii_only=True), parts)
        else:
            written += _write_wavs(out, kit, names, hits, sample_rate, bits)
            texts = {"sfz": formats.sfz, "decent": formats.decent, "wav": formats.table}
            content = texts[format](called, zones).encode()
        if sheet:
            waves = generator.render([pad.layers[-1] for pad in kit.pads])
            generator.modality.sheet(out / SHEET, waves, [f"{pad.note} {pad.name}" for pad in kit.pads])
            written.append(out / SHEET)
        written.append(_write(out / main[format], content))
    except BaseException as error:
        for path in fresh:
            path.unlink(missing_ok=True)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise UserError(f"{out}: cannot be written to ({error.strerror or error})") from error
        raise
    late = [f"{pad.name} ({its[0].short:.1f})" for pad, its in zip(kit.pads, hits, strict=True) if its[0].short > 0.05]
    if echo is not None and late:
        echo(f"softer than the others because of their peaks, by LU: {', '.join(late)}")
    return written


def _write_wavs(
    folder: Path, kit: Kit, names: list[list[str]], hits: list[list[Hit]], sample_rate: int, bits: int
) -> list[Path]:
    files = []
    for pad, its, strokes in zip(kit.pads, names, hits, strict=True):
        for recipe, file, hit in zip(pad.layers, its, strokes, strict=True):
            text = recipe.to_json()
            comment = text if len(text.encode()) <= COMMENT_BYTES else None
            save_wav(folder / file, hit.wave, sample_rate, subtype=SUBTYPES[bits], comment=comment)
            files.append(folder / file)
    return files


def _wavs(
    out: Path, kit: Kit, names: list[list[str]], hits: list[list[Hit]], sample_rate: int, bits: int
) -> dict[str, bytes]:
    """The content of the files that `_write_wavs` writes; they are in ``out`` for a moment."""
    with tempfile.TemporaryDirectory(dir=out, prefix=".kit-") as temporary:
        try:
            files = _write_wavs(Path(temporary), kit, names, hits, sample_rate, bits)
            return {file.name: file.read_bytes() for file in files}
        except UserError as error:
            raise UserError(str(error).replace(temporary, str(out))) from error


def _files(kit: Kit) -> list[list[str]]:
    """A file name for each layer of each pad: notes make them differ."""
    stems = [f"{pad.note:03d}-{safe(pad.name).replace(' ', '-') or 'sound'}" for pad in kit.pads]
    return [
        [f"{stem}.wav"] if len(pad.layers) == 1 else [f"{stem}-v{i + 1}.wav" for i in range(len(pad.layers))]
        for stem, pad in zip(stems, kit.pads, strict=True)
    ]


def _check_free(out: Path, kit: Kit, names: list[str]) -> None:
    """Raise UserError where the folder holds something else under one of the names, or links to another folder."""
    for folder in {(out / name).parent for name in names}:
        if folder.exists() and not folder.resolve().is_relative_to(out.resolve()):
            raise UserError(f"{folder}: a link to another folder; choose another folder for the kit")
    there = [name for name in [KIT, *names] if os.path.lexists(out / name)]
    if not there:
        return
    try:
        same = Kit.from_json(read_small(out / KIT, LARGEST_KIT, "kit")) == kit
    except UserError:
        same = False
    others = [name for name in there if not same or not _ours(out / name)]
    if others:
        raise UserError(f"{out}: holds another {others[0]}; choose another folder")


def _ours(path: Path) -> bool:
    """Whether a file in the folder of a kit looks like one that `save_kit` wrote."""
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        start = stream.read(1000)
    first = start.split(b"\n")[0]
    return {
        ".sfz": first.endswith(b": made by audiogan"),
        ".h2drumkit": start[:2] == b"\x1f\x8b" and start[4:8] == STAMP.to_bytes(4, "little"),
        ".dspreset": b'<DecentSampler minVersion="1.0.0"' in start,
        ".csv": first == ",".join(formats.COLUMNS).encode(),
    }.get(path.suffix, True)


def hat(pad: Pad) -> str | None:
    """What a pad is to the hats of its kit: "open", "closed", or nothing."""
    return {"open hat": "open", "closed hat": "closed"}.get(role(pad.layers[-1].label) or "")


def _zone(pad: Pad, files: list[str], hits: list[Hit], sample_rate: int) -> Zone:
    samples = [
        Sample(file, low, high, hit.wave.shape[1] / sample_rate, hit.loudness, hit.peak)
        for file, hit, (low, high) in zip(files, hits, velocities(len(hits)), strict=True)
    ]
    return Zone(pad.name, pad.note, hat(pad), samples)


def _located(generator: Generator, kit: Kit, out: Path) -> bytes:
    """``kit.json`` with the places where the model lies; shipped models need none."""
    if generator.name in shipped():
        return kit.to_json().encode()
    model = generator.checkpoint.resolve()
    places = [str(model)]
    with contextlib.suppress(ValueError):  # on another drive of Windows
        places.insert(0, Path(os.path.relpath(model, out.resolve())).as_posix())
    return json.dumps({**json.loads(kit.to_json()), PLACES: places}, indent=1).encode()


def find_model(kit_file: Path, content: bytes, model: str) -> Path | None:
    """The file of a kit's model, where ``kit.json`` says that it lies, or beside it.

    A kit may come from a stranger, so only regular files with the suffix of a model are taken, and none of the network.

    Args:
        kit_file: the path of ``kit.json``.
        content: of that file.
        model: the name in it.
    """
    folder = kit_file.resolve().parent
    said = json.loads(content).get(PLACES)
    places = [place for place in said if isinstance(place, str)][:4] if isinstance(said, list) else []
    # Kits of older versions have the name only, which was relative to the folder where the command ran.
    named = [model, Path(model).name]
    for place in [*places, *named, *([] if places else [os.path.abspath(model)])]:
        path = os.path.join(folder, place)
        remote = place.startswith(("//", "\\\\"))
        if place.endswith((".audiogan", ".ckpt")) and not remote and os.path.isfile(path):
            return Path(os.path.normpath(path))
    return None


def _write(path: Path, content: bytes) -> Path:
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def _archive(folder: str, parts: dict[str, bytes]) -> bytes:
    """A ``.tar.gz`` of one folder."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=STAMP) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        top = tarfile.TarInfo(folder)
        top.type, top.mode, top.mtime = tarfile.DIRTYPE, 0o755, STAMP
        tar.addfile(top)
        for name, content in sorted(parts.items()):
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mtime = len(content), STAMP
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()
