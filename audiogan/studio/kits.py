"""Kits: sixteen sounds that belong together, and the files that other instruments read."""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from audiogan.studio.instrument import Name, Seed, WireRecipe
from audiogan.studio.limits import Strict
from audiogan.studio.sounds import Studio

if TYPE_CHECKING:
    from audiogan.kits import Kit

router = APIRouter(prefix="/api")
PADS = 16
RATES = [44_100, 48_000]
BITS = [16, 24]
TITLES = {
    "sfz": "SFZ (most samplers)",
    "hydrogen": "Hydrogen drum kit",
    "decent": "Decent Sampler",
    "wav": "WAV files",
}
STAMP = (2020, 1, 1, 0, 0, 0)  # so that the same kit makes the same archive


class WirePad(Strict):
    """One pad: its name, its General MIDI note, and what it plays."""

    name: Name
    note: Annotated[int, Field(ge=0, le=127)]
    recipe: WireRecipe


class NewKit(Strict):
    seed: Seed | None = None
    labels: Annotated[list[Name], Field(min_length=1, max_length=PADS)] | None = None
    locked: Annotated[list[WirePad | None], Field(max_length=PADS)] = []


class KitFile(Strict):
    pads: Annotated[list[WirePad], Field(min_length=1, max_length=PADS)]
    format: Name
    name: Annotated[str, Field(max_length=60)] = "kit"
    sample_rate: Literal[44_100, 48_000] = 44_100
    bits: Literal[16, 24] = 24


def formats() -> list[dict[str, str]]:
    """The kinds of files a kit can become."""
    from audiogan.kits import FORMATS

    return [{"name": name, "title": TITLES.get(name, name)} for name in FORMATS]


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
    pads = [
        {"name": pad.name, "note": pad.note, "recipe": instrument.outside(pad.layers[0])} for pad in made.pads
    ]
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
    name = re.sub(r"[^\w-]+", "-", want.name, flags=re.ASCII).strip("-") or "kit"
    disposition = f'attachment; filename="{name}-{want.format}.zip"'
    return Response(content, media_type="application/zip", headers={"Content-Disposition": disposition})


def _kit(studio: Studio, want: KitFile) -> Kit:
    from audiogan.kits import FORMATS, Kit, Pad

    if want.format not in FORMATS:
        from audiogan.errors import UserError

        raise UserError(f"format {want.format[:40]!r} is none of {', '.join(FORMATS)}")
    pads = [Pad(pad.name, pad.note, (studio.instrument.inside(pad.recipe),)) for pad in want.pads]
    return Kit(want.name, tuple(pads))


def _archive(studio: Studio, made: Kit, want: KitFile) -> bytes:
    from audiogan.kits import save_kit

    with tempfile.TemporaryDirectory(prefix="audiogan-") as folder:
        out = Path(folder) / "kit"
        save_kit(
            studio.instrument.generator, made, out, format=want.format, sample_rate=want.sample_rate, bits=want.bits
        )
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path for path in out.rglob("*") if path.is_file()):
                info = zipfile.ZipInfo(file.relative_to(out).as_posix(), STAMP)
                archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED)
        return packed.getvalue()
