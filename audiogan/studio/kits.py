"""API routes that make kits of sixteen sounds and export them to files for samplers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from pydantic import Field

from audiogan.errors import UserError
from audiogan.kits.names import file_stem
from audiogan.kits.opening import KIT
from audiogan.studio.archives import pack_files
from audiogan.studio.instrument import Name, Seed
from audiogan.studio.limits import StrictModel
from audiogan.studio.opening import KitText, kit_text
from audiogan.studio.pads import PADS, WirePad, in_page_order, pads_to_wire
from audiogan.studio.patterns import NamedPattern
from audiogan.studio.sounds import Studio

router = APIRouter(prefix="/api")


class NewKit(StrictModel):
    seed: Seed | None = None
    labels: Annotated[list[Name], Field(min_length=1, max_length=PADS)] | None = None
    locked: Annotated[list[WirePad | None], Field(max_length=PADS)] = Field(default_factory=list)


class KitFile(KitText):
    patterns: Annotated[list[NamedPattern], Field(max_length=26)] = Field(default_factory=list)
    format: Name
    name: Annotated[str, Field(max_length=60)] = "kit"


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
    pads = in_page_order(pads_to_wire(instrument, made.pads))
    for i, kept in enumerate(want.locked[: len(pads)]):
        if kept is not None:
            pads[i] = kept.model_dump()
    return {"pads": pads}


@router.post("/kit.zip")
async def export_kit(request: Request) -> Response:
    """Export a kit in the requested file format, with its patterns as MIDI files, and return one ZIP archive."""
    studio = Studio.from_request(request)
    want = await studio.parse_body(request, KitFile)
    content = await studio.renders.run(_archive, studio, want)
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


def _archive(studio: Studio, want: KitFile) -> bytes:
    from audiogan.kits import FORMATS, save_kit

    if want.format not in FORMATS:
        raise UserError(f"format {want.format[:40]!r} must be one of {', '.join(FORMATS)}")
    made = want.to_kit(studio.instrument)
    with tempfile.TemporaryDirectory(prefix="audiogan-") as folder:
        out = Path(folder) / "kit"
        generator = studio.instrument.generator
        save_kit(generator, made, out, want.format, sample_rate=want.sample_rate, bits=want.bits, name=want.name)
        for pattern in want.patterns:
            (out / f"pattern-{pattern.name}.mid").write_bytes(pattern.to_midi())
        (out / KIT).write_text(kit_text(made, want.session), encoding="utf-8")
        return pack_files(
            {file.relative_to(out).as_posix(): file.read_bytes() for file in out.rglob("*") if file.is_file()}
        )
