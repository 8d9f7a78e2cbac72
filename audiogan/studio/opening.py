"""API routes that open kits and sounds from files, and export a kit as ``kit.json``."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import soundfile
from fastapi import APIRouter, Request, Response

from audiogan.errors import UserError
from audiogan.kits.opening import KIT, read_kit_file
from audiogan.studio.instrument import Instrument
from audiogan.studio.limits import read_body
from audiogan.studio.pads import PADS, WireKit, in_page_order, pads_to_wire
from audiogan.studio.sounds import Studio
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from audiogan.kits import Kit

router = APIRouter(prefix="/api")
MAX_KIT_BYTES = 1 << 22
"""Maximum size of a ``kit.json`` that is opened, in bytes."""
SESSION = "studio"
"""Key in ``kit.json`` under which the page stores patterns, tempo and switches. Other programs ignore this key."""
MAX_SESSION_CHARACTERS = 1 << 18
"""Maximum size of the entry `SESSION` in ``kit.json``, in characters."""


class KitText(WireKit):
    session: dict[str, Any] | None = None


@router.get("/opened")
async def opened_kit(request: Request) -> dict[str, Any] | None:
    """Return the kit with which the studio was started, in the format of ``/api/open``, or null."""
    return request.app.state.opened


@router.post("/open")
async def open_file(request: Request) -> dict[str, Any]:
    """Open a file. The request body is ``kit.json``, a ZIP archive of a kit, or a WAV file with a recipe.

    The response is ``{"recipe", "note"}`` for a WAV file. Without a usable recipe, ``recipe`` is null and
    ``note`` is the reason. For a kit, it is:

    - ``pads``: exactly sixteen pads. Missing ones are new sounds.
    - ``layers``: largest number of velocity layers of a pad.
    - ``session``: patterns and tempo, if the page saved them, see `read_session`; otherwise null.
    - ``note``: a line about pads that were left out or added. May be empty.
    """
    studio = Studio.from_request(request)
    body = await read_body(request, studio.limits.opened_bytes, studio.limits.body_seconds)
    return await studio.renders.run(_open, studio.instrument, body)


@router.post("/kit.json")
async def export_kit_text(request: Request) -> Response:
    """Return a kit as ``kit.json``, with the patterns and the tempo of the page."""
    studio = Studio.from_request(request)
    want = await studio.parse_body(request, KitText)
    text = await studio.renders.run(lambda: kit_text(want.to_kit(studio.instrument), want.session))
    headers = {"Content-Disposition": f'attachment; filename="{KIT}"'}
    return Response(text, media_type="application/json", headers=headers)


def kit_text(kit: Kit, session: dict[str, Any] | None) -> str:
    """Return the content of ``kit.json`` with the patterns and the tempo of the page."""
    return json.dumps(json.loads(kit.to_json()) | ({SESSION: session} if session else {}), indent=1)


def read_session(content: bytes) -> dict[str, Any] | None:
    """Return the patterns and the tempo that the page stored in ``kit.json``, or None. The page validates them."""
    session = json.loads(content).get(SESSION)
    return session if isinstance(session, dict) and len(json.dumps(session)) <= MAX_SESSION_CHARACTERS else None


def to_page(instrument: Instrument, kit: Kit, session: dict[str, Any] | None) -> dict[str, Any]:
    """Return a kit for the page, see `open_file`.

    Raises:
        UserError: a recipe does not fit the model.
    """
    from audiogan.kits import make_kit

    generator = instrument.generator
    generator.input_values(
        [recipe for pad in kit.pads for recipe in pad.layers]
    )  # Raises an error if a recipe does not fit the model.
    pads = pads_to_wire(instrument, kit.pads)
    if session is None:
        pads = in_page_order(pads)
    note = f"the kit has {len(pads)} pads; the page shows {PADS} of them" if len(pads) > PADS else ""
    pads = pads[:PADS]
    if missing := PADS - len(pads):
        notes = {pad["note"] for pad in pads}
        spare = [pad for pad in make_kit(generator, PADS, seed=0).pads if pad.note not in notes]
        pads += pads_to_wire(instrument, spare[:missing])
        note = f"the kit has {PADS - missing} pads; the others are new sounds"
    layers = max(len(pad.layers) for pad in kit.pads)
    return {"pads": pads, "layers": layers, "session": session, "note": note}


def _open(instrument: Instrument, body: bytes) -> dict[str, Any]:
    from audiogan.kits import Kit

    if body[:4] in (b"RIFF", b"RF64"):
        try:
            return {"recipe": _read_recipe(instrument, body), "note": ""}
        except UserError as error:
            return {"recipe": None, "note": instrument.error_message(error)}
    try:
        content = read_kit_file(io.BytesIO(body), MAX_KIT_BYTES)
    except UserError as error:
        raise UserError(f"the file cannot be opened: {error}") from error
    kit = Kit.from_json(content)
    _check_model(instrument, kit.model)
    return to_page(instrument, kit, read_session(content))


def _read_recipe(instrument: Instrument, body: bytes) -> dict[str, Any]:
    from audiogan.model.recipe import Recipe

    try:
        with soundfile.SoundFile(io.BytesIO(body)) as file:
            text = file.comment or ""
    except (OSError, ValueError, RuntimeError) as error:  # `soundfile.LibsndfileError` is a RuntimeError.
        raise UserError(f"not a WAV file that can be read ({printable(str(error))[:100]})") from error
    if not text:
        raise UserError("the WAV file has no recipe; drop it on a pad to imitate it")
    recipe = Recipe.from_json(text)
    _check_model(instrument, recipe.model)
    instrument.generator.input_values([recipe])  # Raises an error if the recipe does not fit the model.
    return instrument.to_wire(recipe)


def _check_model(instrument: Instrument, name: str) -> None:
    if name not in (instrument.name, instrument.generator.name):
        raise UserError(f"the file is of the model {printable(name)[:60]!r}; this studio plays {instrument.name!r}")
