"""API routes that make kits of sixteen sounds and export them to files for samplers."""

from __future__ import annotations

import io
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from pydantic import Field

from audiogan.errors import UserError
from audiogan.kits.kit import LEVELS, PANS, TUNES
from audiogan.kits.names import file_stem
from audiogan.studio.instrument import Name, Seed, WireRecipe
from audiogan.studio.limits import StrictModel
from audiogan.studio.patterns import NamedPattern
from audiogan.studio.sounds import Studio

if TYPE_CHECKING:
    from audiogan.kits import Kit

router = APIRouter(prefix="/api")
PADS = 16
FIRST_NOTE = 36
"""MIDI note of the first pad, as on most pad controllers. Pads with lower notes are placed last."""
ARCHIVE_TIME = (2020, 1, 1, 0, 0, 0)
"""Modification time of the files in an archive. It is constant, so that exports of the same kit are identical byte for
byte.
"""


class WirePad(StrictModel):
    """Pad of a kit as a JSON object.

    Attributes:
        name: name of the pad.
        note: General MIDI note.
        recipe: recipe of the sound, which is the loudest velocity layer.
        level: level in dB, see `Pad`.
        pan: pan from -1 to 1, see `Pad`.
        tune: change of pitch in semitones, see `Pad`.
    """

    name: Name
    note: Annotated[int, Field(ge=0, le=127)]
    recipe: WireRecipe
    level: Annotated[float, Field(ge=LEVELS[0], le=LEVELS[1])] = 0.0
    pan: Annotated[float, Field(ge=PANS[0], le=PANS[1])] = 0.0
    tune: Annotated[float, Field(ge=TUNES[0], le=TUNES[1])] = 0.0


class NewKit(StrictModel):
    seed: Seed | None = None
    labels: Annotated[list[Name], Field(min_length=1, max_length=PADS)] | None = None
    locked: Annotated[list[WirePad | None], Field(max_length=PADS)] = Field(default_factory=list)


class KitFile(StrictModel):
    pads: Annotated[list[WirePad], Field(min_length=1, max_length=PADS)]
    patterns: Annotated[list[NamedPattern], Field(max_length=26)] = Field(default_factory=list)
    format: Name
    name: Annotated[str, Field(max_length=60)] = "kit"
    sample_rate: Literal[44_100, 48_000] = 44_100
    bits: Literal[16, 24] = 24


@router.post("/kit")
async def new_kit(request: Request) -> dict[str, Any]:
    """Make a new kit and return its pads. Locked pads of the request keep their positions and sounds."""
    from audiogan.kits import make_kit

    studio = Studio.from_request(request)
    want = await studio.parse_body(request, NewKit)
    instrument = studio.instrument
    for pad in want.locked:
        if pad is not None:
            instrument.from_wire(pad.recipe)
    made = await studio.renders.run(make_kit, instrument.generator, PADS, seed=want.seed, labels=want.labels)
    pads: list[dict[str, Any]] = [
        {"name": pad.name, "note": pad.note, "recipe": instrument.to_wire(pad.layers[0])}
        | {"level": pad.level, "pan": pad.pan, "tune": pad.tune}
        for pad in made.pads
    ]
    pads.sort(key=lambda pad: (pad["note"] < FIRST_NOTE, pad["note"]))
    for i, kept in enumerate(want.locked[: len(pads)]):
        if kept is not None:
            pads[i] = kept.model_dump()
    return {"pads": pads}


@router.post("/kit.zip")
async def export_kit(request: Request) -> Response:
    """Export a kit in the requested file format, with its patterns as MIDI files, and return one ZIP archive."""
    studio = Studio.from_request(request)
    want = await studio.parse_body(request, KitFile)
    made = _kit(studio, want)
    content = await studio.renders.run(_archive, studio, made, want)
    return Response(content, media_type="application/zip", headers={"Content-Disposition": _disposition(want)})


def _disposition(want: KitFile) -> str:
    """Return the ``Content-Disposition`` header with the name of the archive in ASCII and, if it differs, in UTF-8.

    Source: RFC 6266.
    """
    plain, whole = (
        f"{file_stem(want.name, ascii_only=ascii_only).replace(' ', '-')}-{want.format}.zip"
        for ascii_only in (True, False)
    )
    extended = "" if plain == whole else f"; filename*=UTF-8''{quote(whole, safe='')}"
    return f'attachment; filename="{plain}"{extended}'


def _kit(studio: Studio, want: KitFile) -> Kit:
    from audiogan.kits import FORMATS, Kit, Pad

    if want.format not in FORMATS:
        raise UserError(f"format {want.format[:40]!r} must be one of {', '.join(FORMATS)}")
    recipes = [replace(studio.instrument.from_wire(pad.recipe), model=studio.instrument.name) for pad in want.pads]
    try:
        pads = [
            Pad(pad.name, pad.note, (recipe,), pad.level, pad.pan, pad.tune)
            for pad, recipe in zip(want.pads, recipes, strict=True)
        ]
        return Kit(tuple(pads), studio.instrument.name)
    except ValueError as error:  # The error is raised if a name is unprintable or a note occurs twice.
        raise UserError(str(error)) from error


def _archive(studio: Studio, made: Kit, want: KitFile) -> bytes:
    from audiogan.kits import save_kit

    with tempfile.TemporaryDirectory(prefix="audiogan-") as folder:
        out = Path(folder) / "kit"
        generator = studio.instrument.generator
        save_kit(generator, made, out, want.format, sample_rate=want.sample_rate, bits=want.bits, name=want.name)
        for pattern in want.patterns:
            (out / f"pattern-{pattern.name}.mid").write_bytes(pattern.to_midi())
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path for path in out.rglob("*") if path.is_file()):
                info = zipfile.ZipInfo(file.relative_to(out).as_posix(), ARCHIVE_TIME)
                archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED)
        return packed.getvalue()
