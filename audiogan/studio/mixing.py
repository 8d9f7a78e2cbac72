"""API routes that render pads at the levels that they have in kits for samplers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from audiogan.errors import UserError
from audiogan.kits.names import ascii_stem
from audiogan.modalities.wav import COMMENT_BYTES, encode_wav
from audiogan.studio.archives import pack_files
from audiogan.studio.limits import StrictModel
from audiogan.studio.pads import PADS, PadSound, WireKit
from audiogan.studio.patterns import WirePattern
from audiogan.studio.sounds import Studio

if TYPE_CHECKING:
    from audiogan.kits import Pad
    from audiogan.kits.rendering import Measure
    from audiogan.model.generator import Generator

router = APIRouter(prefix="/api")
MAX_MEASURES = 4096
"""Maximum number of sounds in a `MeasureCache`."""


class MeasureCache:
    """Cache of the loudness and peaks of the sounds that were measured most recently.

    Args:
        generator: model of the sounds.
    """

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.measures: dict[tuple[str, float], Measure] = {}
        self.lock = threading.Lock()

    def measure(self, pads: Sequence[Pad]) -> list[list[Measure]]:
        """Return the loudness and peaks of the layers of pads, for `balance_kit`."""
        from audiogan.kits.rendering import MEASUREMENT_RATE, measure_layer, prepare_pads

        keys = [[(replace(recipe, seed=None).to_json(), pad.tune) for recipe in pad.layers] for pad in pads]
        layers = {
            key: replace(pad, layers=(recipe,))
            for pad, its in zip(pads, keys, strict=True)
            for recipe, key in zip(pad.layers, its, strict=True)
        }
        found = {key: self.measures[key] for key in layers if key in self.measures}
        missing = {key: pad for key, pad in layers.items() if key not in found}
        if missing:
            raw = self.generator.render([pad.layers[0] for pad in missing.values()])
            waves = prepare_pads(raw, list(missing.values()), self.generator.sample_rate, MEASUREMENT_RATE)
            found |= {key: measure_layer(wave) for key, (wave,) in zip(missing, waves, strict=True)}
        with self.lock:
            self.measures = dict([*(self.measures | found).items()][-MAX_MEASURES:])
        return [[found[key] for key in its] for its in keys]


class KitPads(StrictModel):
    pads: Annotated[list[PadSound], Field(min_length=1, max_length=PADS)]


class SoundFile(WireKit):
    pad: Annotated[int, Field(ge=0, lt=PADS)]


class LoopFile(WireKit):
    pattern: WirePattern
    stems: bool = False


@router.post("/pad.wav")
async def render_pad(request: Request) -> Response:
    """Render the sound of a pad with its level, pan and tune.

    The response is a WAV file with 32-bit floating-point samples at the sample rate of the model. It is stereo if the
    pad is panned. The sound is computed as for an exported kit, and divided by the gain that ``/api/balance`` returns.
    Therefore, a change of one pad does not change the sounds of the others.
    """
    from audiogan.kits.rendering import balance_kit, place_layer, prepare_pads

    studio = Studio.from_request(request)
    want = await studio.parse_body(request, PadSound)
    pad, generator = want.to_pad(studio.instrument), studio.instrument.generator

    def work() -> bytes:
        balance = balance_kit([pad], request.app.state.measures.measure([pad]))
        raw = generator.render(pad.layers[0])
        [[wave]] = prepare_pads(raw, [pad], generator.sample_rate, generator.sample_rate)
        placed = place_layer(wave, balance.pads[0][0], pad.pan, stereo=pad.pan != 0)
        return encode_wav(placed, generator.sample_rate, "FLOAT")

    return Response(await studio.renders.run(work), media_type="audio/wav")


@router.post("/balance")
async def balance(request: Request) -> dict[str, Any]:
    """Return the ``gain`` of a kit: the factor with which the highest true peak of its sounds is -1 dBTP."""
    from audiogan.kits.rendering import balance_kit

    studio = Studio.from_request(request)
    want = await studio.parse_body(request, KitPads)
    pads = [pad.to_pad(studio.instrument) for pad in want.pads]

    def work() -> float:
        return balance_kit(pads, request.app.state.measures.measure(pads)).kit

    return {"gain": 10 ** (await studio.renders.run(work) / 20)}


@router.post("/sound")
async def export_sound(request: Request) -> Response:
    """Return the sound of one pad as it is in the kit: a WAV file, or a ZIP archive of its velocity layers."""
    from audiogan.kits.rendering import balance_kit, place_layer, prepare_pads

    studio = Studio.from_request(request)
    want = await studio.parse_body(request, SoundFile)
    if want.pad >= len(want.pads):
        raise UserError(f"pad={want.pad}: the kit has {len(want.pads)} pads")

    def work() -> Response:
        kit, generator = want.to_kit(studio.instrument), studio.instrument.generator
        balance = balance_kit(kit.pads, request.app.state.measures.measure(kit.pads))
        pad, gains, stereo = kit.pads[want.pad], balance.pads[want.pad], any(pad.pan for pad in kit.pads)
        [waves] = prepare_pads(generator.render(pad.layers), [pad], generator.sample_rate, want.sample_rate)
        files = {}
        for i, (recipe, wave, gain) in enumerate(zip(pad.layers, waves, gains, strict=True)):
            text = recipe.to_json()
            comment = text if len(text.encode()) <= COMMENT_BYTES else None
            placed = place_layer(wave, gain + balance.kit, pad.pan, stereo)
            files[f"v{i + 1}.wav"] = encode_wav(placed, want.sample_rate, f"PCM_{want.bits}", comment)
        if len(files) == 1:
            return Response(files["v1.wav"], media_type="audio/wav")
        return Response(pack_files(files), media_type="application/zip")

    return await studio.renders.run(work)


@router.post("/loop")
async def export_loop(request: Request) -> Response:
    """Play a pattern on a kit as a seamless loop, as ``audiogan play --loop`` plays its MIDI file.

    The response is a WAV file, or a ZIP archive with one WAV file for each pad that sounds. The header
    ``X-Attenuation`` is the reduction of the level in dB that keeps the peak of the loop at or below -1 dB.
    """
    studio = Studio.from_request(request)
    want = await studio.parse_body(request, LoopFile)
    return await studio.renders.run(_loop, studio, want)


def _loop(studio: Studio, want: LoopFile) -> Response:
    from audiogan.kits.midi import read_midi
    from audiogan.kits.mixing import play_loop

    kit = want.to_kit(studio.instrument)
    known = {pad.note for pad in kit.pads}
    if unknown := sorted({note for _, note, _ in want.pattern.notes} - known):
        raise UserError(f"pattern: the kit has no pad for the notes {', '.join(map(str, unknown))}")
    # The notes are taken from the MIDI file, so that its times are rounded in the same way.
    [part] = read_midi(want.pattern.to_midi()).parts
    notes = [(part.clock.time(tick), note, velocity) for tick, _, note, velocity in part.notes]
    waves, attenuation = play_loop(
        studio.instrument.generator,
        kit,
        notes,
        part.clock.time(part.end),
        sample_rate=want.sample_rate,
        stems=want.stems,
    )
    headers = {"X-Attenuation": f"{attenuation:.1f}"}
    subtype = f"PCM_{want.bits}"
    if not want.stems:
        return Response(encode_wav(waves[0], want.sample_rate, subtype), media_type="audio/wav", headers=headers)
    played = {note for _, note, _ in notes}
    stems = {
        f"{i + 1:02d}-{ascii_stem(pad.name) or 'sound'}.wav": encode_wav(wave, want.sample_rate, subtype)
        for i, (pad, wave) in enumerate(zip(kit.pads, waves, strict=True))
        if pad.note in played
    }
    return Response(pack_files(stems), media_type="application/zip", headers=headers)
