"""Writing of kits as files for samplers."""

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

from audiogan.errors import UserError, wrap_os_errors
from audiogan.files import atomic_write, read_small_file
from audiogan.kits import formats
from audiogan.kits.drums import drum_role
from audiogan.kits.formats import Sample, Zone
from audiogan.kits.kit import Kit, Pad, velocity_ranges
from audiogan.kits.names import ascii_stem, file_stem, single_line
from audiogan.kits.opening import KIT, MAX_KIT_BYTES
from audiogan.kits.rendering import Hit, render_hits
from audiogan.modalities.wav import COMMENT_BYTES, save_wav
from audiogan.run.model_files import shipped_models

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

FORMATS = ("sfz", "hydrogen", "decent", "wav")
FOLDERS = {"sfz": "samples/", "hydrogen": "", "decent": "Samples/", "wav": ""}
"""Folder that contains the samples, by format. Paths are relative to the file that lists the samples."""
SHEET = "contact-sheet.png"
MODEL_PATHS = "model_files"
"""Key in ``kit.json`` under which possible paths of the model are listed: first a path relative to the folder of the
kit, then absolute paths."""
SUBTYPES = {16: "PCM_16", 24: "PCM_24"}
ARCHIVE_TIME = 1577836800
"""Time stamp of all files in an archive (2020). It is constant so that the same kit gives identical bytes."""


def save_kit(
    generator: Generator,
    kit: Kit,
    out: str | os.PathLike[str],
    format: str = "sfz",
    *,
    sample_rate: int = 44100,
    bits: int = 24,
    name: str | None = None,
    loudness: float | None = None,
    contact_sheet: bool = False,
    store_model_path: bool = False,
    echo: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write a kit into a folder, in a format for samplers.

    - ``sfz``: ``NAME.sfz`` and ``samples/``.
    - ``hydrogen``: ``NAME.h2drumkit``.
    - ``decent``: ``NAME.dspreset`` and ``Samples/``.
    - ``wav``: files named after General MIDI notes, and ``map.csv``.

    Recipes are stored in ``kit.json`` and in each WAV file, see `read_recipe`. A folder can hold several formats of one
    kit, and saving the same kit again replaces its files. Files of another kit are never replaced.

    Args:
        generator: model of the kit.
        kit: the kit.
        out: output folder. It is created if it is missing.
        format: "sfz", "hydrogen", "decent" or "wav".
        sample_rate: sample rate of the WAV files, in Hz, see `render_hits`.
        bits: bits per sample, 16 or 24.
        name: name of the kit, see `file_stem`. The default is the name of the folder.
        loudness: loudness of the loudest layer of each pad in LUFS, see `render_hits`. By default, the highest true
            peak of the kit is -1 dBTP.
        contact_sheet: also draw ``contact-sheet.png``.
        store_model_path: also write the path of the model to ``kit.json``, relative to the kit and absolute.
        echo: function that prints a line. It reports pads that were attenuated because of their peaks.

    Returns:
        Paths of the written files.

    Raises:
        UserError: an argument is invalid, or the folder cannot be written or contains files of another kit.

    Examples:
        >>> import audiogan, tempfile
        >>> from audiogan.kits import make_kit, save_kit
        >>> generator = audiogan.load("drums")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = save_kit(generator, make_kit(generator, 2, seed=7, labels=["kick", "snare"]), folder, "wav")
        >>> [file.name for file in files]
        ['kit.json', '036-kick.wav', '038-snare.wav', 'map.csv']
    """
    out = Path(out)
    if format not in FORMATS:
        raise UserError(f"unknown format {format!r}; choose one of {', '.join(FORMATS)}")
    if bits not in SUBTYPES:
        raise UserError(f"bits={bits} must be 16 or 24")
    name = unicodedata.normalize("NFC", out.resolve().name if name is None else name)
    called, stem = single_line(name) or "kit", file_stem(name)
    names = [[FOLDERS[format] + file for file in files] for files in _file_names(kit)]
    main = {"sfz": f"{stem}.sfz", "hydrogen": f"{stem}.h2drumkit", "decent": f"{stem}.dspreset", "wav": "map.csv"}
    loose = [] if format == "hydrogen" else [file for files in names for file in files]
    listed = [*loose, main[format], *([SHEET] if contact_sheet else [])]
    _check_overwritable(out, kit, listed)
    hits = render_hits(generator, kit, sample_rate, loudness)
    zones = [_zone(*row, sample_rate) for row in zip(kit.pads, names, hits, strict=True)]
    about = f"{len(kit.pads)} sounds of the model {single_line(kit.model)}"
    written: list[Path] = []
    made = [folder for folder in (out / FOLDERS[format], out, *out.parents) if not folder.exists()]
    with wrap_os_errors(f"{out}: cannot be written to"):
        out.mkdir(parents=True, exist_ok=True)
    fresh = [path for path in (out / file for file in [KIT, *listed]) if not path.exists()]
    try:
        # The recipes are written before the sounds. If writing is interrupted, they show that the folder belongs to
        # this kit, so the same command can complete it.
        written.append(
            _write(
                out / KIT, _json_with_model_path(generator, kit, out) if store_model_path else kit.to_json().encode()
            )
        )
        if format == "hydrogen":
            parts = _wav_contents(out, kit, names, hits, sample_rate, bits)
            parts |= {
                "drumkit.xml": formats.hydrogen_drumkit(called, zones, about).encode(),
                KIT: kit.to_json().encode(),
            }
            content = _archive(file_stem(name, ascii_only=True), parts)
        else:
            written += _write_wavs(out, kit, names, hits, sample_rate, bits)
            texts = {"sfz": formats.sfz_text, "decent": formats.decent_sampler_preset, "wav": formats.csv_table}
            content = texts[format](called, zones).encode()
        if contact_sheet:
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
    late = [
        f"{pad.name} ({its[0].attenuation:.1f})"
        for pad, its in zip(kit.pads, hits, strict=True)
        if its[0].attenuation > 0.05
    ]
    if echo is not None and late:
        echo(f"attenuated because of high peaks (reduction in LU): {', '.join(late)}")
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


def _wav_contents(
    out: Path, kit: Kit, names: list[list[str]], hits: list[list[Hit]], sample_rate: int, bits: int
) -> dict[str, bytes]:
    """Return the content of the files that `_write_wavs` writes, by name. A temporary folder inside ``out`` is used."""
    with tempfile.TemporaryDirectory(dir=out, prefix=".kit-") as temporary:
        try:
            files = _write_wavs(Path(temporary), kit, names, hits, sample_rate, bits)
            return {file.name: file.read_bytes() for file in files}
        except UserError as error:
            raise UserError(str(error).replace(temporary, str(out))) from error


def _file_names(kit: Kit) -> list[list[str]]:
    """Return a file name for each layer of each pad. The MIDI note makes the names unique."""
    stems = [f"{pad.note:03d}-{ascii_stem(pad.name).replace(' ', '-') or 'sound'}" for pad in kit.pads]
    return [
        [f"{stem}.wav"] if len(pad.layers) == 1 else [f"{stem}-v{i + 1}.wav" for i in range(len(pad.layers))]
        for stem, pad in zip(stems, kit.pads, strict=True)
    ]


def _check_overwritable(out: Path, kit: Kit, names: list[str]) -> None:
    """Raise `UserError` if an output file would replace a file of another kit or lie in a linked folder."""
    for folder in {(out / name).parent for name in names}:
        if folder.exists() and not folder.resolve().is_relative_to(out.resolve()):
            raise UserError(f"{folder}: a link to another folder; choose another folder for the kit")
    there = [name for name in [KIT, *names] if os.path.lexists(out / name)]
    if not there:
        return
    try:
        same = Kit.from_json(read_small_file(out / KIT, MAX_KIT_BYTES, "kit")) == kit
    except UserError:
        same = False
    others = [name for name in there if not same or not _is_kit_file(out / name)]
    if others:
        raise UserError(f"{out}: contains another {others[0]}; choose another folder")


def _is_kit_file(path: Path) -> bool:
    """Return whether a file in the folder of a kit looks like a file written by `save_kit`."""
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        start = stream.read(1000)
    first = start.split(b"\n")[0]
    return {
        ".sfz": first.endswith(b": made by audiogan"),
        ".h2drumkit": start[:2] == b"\x1f\x8b" and start[4:8] == ARCHIVE_TIME.to_bytes(4, "little"),
        ".dspreset": b'<DecentSampler minVersion="1.0.0"' in start,
        ".csv": first == ",".join(formats.COLUMNS).encode(),
    }.get(path.suffix, True)


def hat_type(pad: Pad) -> str | None:
    """Return the hi-hat type of a pad: "open", "closed", or None for other pads."""
    return {"open hat": "open", "closed hat": "closed"}.get(drum_role(pad.layers[-1].label) or "")


def _zone(pad: Pad, files: list[str], hits: list[Hit], sample_rate: int) -> Zone:
    samples = [
        Sample(file, low, high, hit.wave.shape[1] / sample_rate, hit.loudness, hit.peak)
        for file, hit, (low, high) in zip(files, hits, velocity_ranges(len(hits)), strict=True)
    ]
    return Zone(pad.name, pad.note, hat_type(pad), samples)


def _json_with_model_path(generator: Generator, kit: Kit, out: Path) -> bytes:
    """Return the content of ``kit.json`` with the path of the model, unless the model is shipped."""
    if generator.name in shipped_models():
        return kit.to_json().encode()
    model = generator.checkpoint.resolve()
    places = [str(model)]
    with contextlib.suppress(ValueError):  # raised by relpath on Windows if the drives differ
        places.insert(0, Path(os.path.relpath(model, out.resolve())).as_posix())
    return json.dumps({**json.loads(kit.to_json()), MODEL_PATHS: places}, indent=1).encode()


def find_kit_model(kit_file: Path, content: bytes, model_name: str) -> Path | None:
    """Return the path of the model of a kit, or None if it is not found.

    The paths in ``kit.json`` and the folder of the kit are searched. A kit may come from an untrusted source, so only
    regular files with the suffix of a model are accepted, and no network paths.

    Args:
        kit_file: path of ``kit.json``.
        content: content of ``kit.json``.
        model_name: name of the model in ``kit.json``.
    """
    folder = kit_file.resolve().parent
    said = json.loads(content).get(MODEL_PATHS)
    places = [place for place in said if isinstance(place, str)][:4] if isinstance(said, list) else []
    # Kits of earlier versions store only the model path, relative to the working folder of the command.
    named = [model_name, Path(model_name).name]
    for place in [*places, *named, *([] if places else [os.path.abspath(model_name)])]:
        path = os.path.join(folder, place)
        remote = place.startswith(("//", "\\\\"))
        if place.endswith((".audiogan", ".ckpt")) and not remote and os.path.isfile(path):
            return Path(os.path.normpath(path))
    return None


def _write(path: Path, content: bytes) -> Path:
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return path


def _archive(folder: str, parts: dict[str, bytes]) -> bytes:
    """Return a ``.tar.gz`` archive of one folder."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=ARCHIVE_TIME) as stream,
        tarfile.open(fileobj=stream, mode="w") as tar,
    ):
        top = tarfile.TarInfo(folder)
        top.type, top.mode, top.mtime = tarfile.DIRTYPE, 0o755, ARCHIVE_TIME
        tar.addfile(top)
        for name, content in sorted(parts.items()):
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mtime = len(content), ARCHIVE_TIME
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()
