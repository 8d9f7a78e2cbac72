"""Kits: sixteen sounds that belong together, and the files that other instruments read."""

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
from audiogan.kits.names import file_stem
from audiogan.studio.instrument import Name, Seed, WireRecipe
from audiogan.studio.limits import Strict
from audiogan.studio.sounds import Studio

if TYPE_CHECKING:
    from audiogan.kits import Kit

router = APIRouter(prefix="/api")
PADS = 16
FIRST = 36
"""Note of the first pad, as on pad controllers; lower ones come last."""
STAMP = (2020, 1, 1, 0, 0, 0)  # so that the same kit makes the same archive


class WirePad(Strict):
    """One pad: its name, its General MIDI note, and what it plays."""

    name: Name
    note: Annotated[int, Field(ge=0, le=127)]
    recipe: WireRecipe


class NewKit(Strict):
    seed: Seed | None = None
    labels: Annotated[list[Name], Field(min_length=1, max_length=PADS)] | None = None
    locked: Annotated[list[WirePad | None], Field(max_length=PADS)] = Field(default_factory=list)


class KitFile(Strict):
    pads: Annotated[list[WirePad], Field(min_length=1, max_length=PADS)]
    format: Name
    name: Annotated[str, Field(max_length=60)] = "kit"
    sample_rate: Literal[44_100, 48_000] = 44_100
    bits: Literal[16, 24] = 24


@router.post("/kit")
async def kit(request: Request) -> dict[str, Any]:
    """A new kit; pads that are locked stay, at their places."""
    from audiogan.kits import make_kit

    studio = Studio.of(request)
    want = await studio.asked(request, NewKit)
    instrument = studio.instrument
    for pad in want.locked:
        if pad is not None:
            instrument.inside(pad.recipe)
    made = await studio.renders.run(make_kit, instrument.generator, PADS, seed=want.seed, labels=want.labels)
    pads: list[dict[str, Any]] = [
        {"name": pad.name, "note": pad.note, "recipe": instrument.outside(pad.layers[0])} for pad in made.pads
    ]
    pads.sort(key=lambda pad: (pad["note"] < FIRST, pad["note"]))
    for i, kept in enumerate(want.locked[: len(pads)]):
        if kept is not None:
            pads[i] = kept.model_dump()
    return {"pads": pads}


@router.post("/kit.zip")
async def kit_file(request: Request) -> Response:
    """A kit as files of another instrument, in one archive."""
    studio = Studio.of(request)
    want = await studio.asked(request, KitFile)
    made = _kit(studio, want)
    content = await studio.renders.run(_archive, studio, made, want)
    return Response(content, media_type="application/zip", headers={"Content-Disposition": _disposition(want)})


def _disposition(want: KitFile) -> str:
    """The header that names the archive: in ASCII, and in UTF-8 where that differs (RFC 6266)."""
    plain, whole = (
        f"{file_stem(want.name, ascii_only=ascii_only).replace(' ', '-')}-{want.format}.zip"
        for ascii_only in (True, False)
    )
    extended = "" if plain == whole else f"; filename*=UTF-8''{quote(whole, safe='')}"
    return f'attachment; filename="{plain}"{extended}'


def _kit(studio: Studio, want: KitFile) -> Kit:
    from audiogan.kits import FORMATS, Kit, Pad

    if want.format not in FORMATS:
        raise UserError(f"format {want.format[:40]!r} is none of {', '.join(FORMATS)}")
    recipes = [replace(studio.instrument.inside(pad.recipe), model=studio.instrument.name) for pad in want.pads]
    try:
        pads = [Pad(pad.name, pad.note, (recipe,)) for pad, recipe in zip(want.pads, recipes, strict=True)]
        return Kit(tuple(pads), studio.instrument.name)
    except ValueError as error:  # a name that cannot be printed, a note that comes twice
        raise UserError(str(error)) from error


def _archive(studio: Studio, made: Kit, want: KitFile) -> bytes:
    from audiogan.kits import save_kit

    with tempfile.TemporaryDirectory(prefix="audiogan-") as folder:
        out = Path(folder) / "kit"
        generator = studio.instrument.generator
        save_kit(generator, made, out, want.format, sample_rate=want.sample_rate, bits=want.bits, name=want.name)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path for path in out.rglob("*") if path.is_file()):
                info = zipfile.ZipInfo(file.relative_to(out).as_posix(), STAMP)
                archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED)
        return packed.getvalue()
