"""Writers of kits in the formats of samplers: SFZ, Hydrogen, Decent Sampler, and a CSV table for other samplers.

In every format, the amplitude of a note with MIDI velocity v is v / 127 of the amplitude at velocity 127. A pad has one
sample for each velocity layer. The samples of soft layers are rendered softer already, so the gain of each layer is
multiplied by 127 / (highest velocity of the layer).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from audiogan.kits.drums import NOTES
from audiogan.utils.text import escape_cell

COLUMNS = ["file", "pad", "note", "general_midi", "lowest_velocity", "highest_velocity", "hat", "seconds"]
COLUMNS += ["momentary_lufs", "true_peak_dbtp"]
HYDROGEN = "http://www.hydrogen-music.org/drumkit"


@dataclass(frozen=True)
class Sample:
    """A WAV file of a kit, and its range of MIDI velocities.

    Attributes:
        file: path relative to the file that lists it.
        low: lowest velocity of the range.
        high: highest velocity of the range.
        seconds: duration in seconds.
        loudness: momentary loudness in LUFS.
        peak: true peak in dBTP.
    """

    file: str
    low: int
    high: int
    seconds: float
    loudness: float
    peak: float


@dataclass(frozen=True)
class Zone:
    """A pad of a kit, as described in sampler formats.

    Attributes:
        name: name of the pad.
        note: MIDI note.
        hat: "open" for a hi-hat that is silenced by other hi-hats, "closed" for a hi-hat that silences open hi-hats,
            None for other pads.
        samples: samples of the velocity layers, from soft to loud.
    """

    name: str
    note: int
    hat: str | None
    samples: Sequence[Sample]


def sfz_text(title: str, zones: Sequence[Zone]) -> str:
    """Return a kit as text in SFZ version 1 (Cakewalk, "sfz File Format", 1.02). Names are written as UTF-8 comments.

    ``amp_velcurve`` sets the gain of a layer, because ``volume`` allows at most +6 dB and soft layers need more.
    """
    lines = [f"// {title}: made by audiogan"]
    for zone in zones:
        choke = {"open": " group=1 off_by=1 off_mode=fast", "closed": " group=1", None: ""}[zone.hat]
        lines += ["", f"// {zone.name}", f"<group> key={zone.note} loop_mode=one_shot{choke}"]
        for sample in zone.samples:
            # `lovel` is omitted for the lowest layer and `hivel` for the highest, because the lowest velocity is 0 in
            # some samplers and 1 in others.
            low = f" lovel={sample.low} amp_velcurve_{sample.low}={sample.low / sample.high:.6f}" if sample.low else ""
            high = f" hivel={sample.high}" if sample.high < 127 else ""
            lines.append(f"<region> sample={sample.file}{low}{high} amp_velcurve_{sample.high}=1")
    return "\n".join(lines) + "\n"


def hydrogen_drumkit(title: str, zones: Sequence[Zone], description: str) -> str:
    """Return a kit as the text of a ``drumkit.xml`` file for Hydrogen 1.2.

    Args:
        title: name of the kit.
        zones: pads of the kit.
        description: text displayed by Hydrogen.
    """
    ET.register_namespace("", HYDROGEN)
    kit = ET.Element(f"{{{HYDROGEN}}}drumkit_info")
    _fill(kit, name=title, author="audiogan", info=description, license="undefined license", image="", imageLicense="")
    _fill(_sub(_sub(kit, "componentList"), "drumkitComponent"), id=0, name="Main", volume=1)
    instruments = _sub(kit, "instrumentList")
    for i, zone in enumerate(zones):
        one = _sub(instruments, "instrument")
        _fill(one, id=i, name=zone.name, volume=1, isMuted="false", isSoloed="false", pan=0, pitchOffset=0)
        _fill(one, randomPitchFactor=0, gain=1, applyVelocity="true", filterActive="false", filterCutoff=1)
        _fill(one, filterResonance=0, Attack=0, Decay=0, Sustain=1, Release=1000, muteGroup=0 if zone.hat else -1)
        _fill(one, midiOutChannel=-1, midiOutNote=zone.note, isStopNote="false", sampleSelectionAlgo="VELOCITY")
        _fill(one, isHihat=-1, lower_cc=0, higher_cc=127)
        component = _sub(one, "instrumentComponent")
        _fill(component, component_id=0, gain=1)
        for sample in zone.samples:
            # The limits of layers lie between integer velocities, so that each velocity belongs to exactly one layer.
            low, high = max(0.0, (sample.low - 0.5) / 127), min(1.0, (sample.high + 0.5) / 127)
            gain = 127 / sample.high
            _fill(_sub(component, "layer"), filename=sample.file, min=low, max=high, gain=gain, pitch=0)
    return _text(kit)


def decent_sampler_preset(title: str, zones: Sequence[Zone]) -> str:
    """Return a kit as a preset of Decent Sampler (Decent Sampler Developer's Guide, "The <groups> element")."""
    preset = ET.Element("DecentSampler", minVersion="1.0.0", presetName=title)
    # Decent Sampler has no one-shot mode. A long release lets a sound finish after the key is released.
    groups = ET.SubElement(preset, "groups", attack="0", decay="0", sustain="1", release="30")
    for zone in zones:
        group = ET.SubElement(groups, "group", name=zone.name, ampVelTrack="1")
        if zone.hat:
            group.set("tags", "hat")
        if zone.hat == "open":
            group.set("silencedByTags", "hat")
            group.set("silencingMode", "fast")
        note = str(zone.note)
        for sample in zone.samples:
            keys = {"rootNote": note, "loNote": note, "hiNote": note, "pitchKeyTrack": "0"}
            velocities = {"loVel": str(sample.low), "hiVel": str(sample.high)}
            volume = f"{20 * math.log10(127 / sample.high):.3f}dB"
            ET.SubElement(group, "sample", {"path": sample.file, **keys, **velocities, "volume": volume})
    return _text(preset)


def csv_table(title: str, zones: Sequence[Zone]) -> str:
    """Return a kit as a CSV table with one row for each file. Cells that a spreadsheet would execute as formulas are
    escaped."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for zone in zones:
        for s in zone.samples:
            what = [s.file, zone.name, zone.note, NOTES.get(zone.note, ("", ""))[0], s.low, s.high, zone.hat or ""]
            cells = [*what, f"{s.seconds:.4f}", f"{s.loudness:.1f}", f"{s.peak:.1f}"]
            writer.writerow([escape_cell(cell) for cell in cells])
    return out.getvalue()


def _fill(parent: ET.Element, **values: object) -> None:
    """Append child elements with text in the given order, in the namespace of their parent."""
    for name, value in values.items():
        _sub(parent, name).text = f"{value:.6g}" if isinstance(value, float) else str(value)


def _sub(parent: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(parent, parent.tag[: parent.tag.find("}") + 1] + name)


def _text(root: ET.Element) -> str:
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
