"""Tests of playing the page in a real browser: keys, MIDI, patterns, gestures, files, and screens of all sizes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mido
import numpy as np
import pytest
import soundfile
from studio_pages import Pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

    from tests.studio.conftest import Served

# The script counts started sounds, and simulates a MIDI port that the test controls.
EARS = """
window.started = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...rest) {
  if (this.context instanceof AudioContext) started.push(this.buffer);
  return start.apply(this, rest);
};
window.port = { id: "1", name: "Pads", state: "connected", onmidimessage: null };
navigator.requestMIDIAccess = async () => ({ inputs: new Map([["1", port]]), outputs: new Map(), onstatechange: null });
"""
READY = ".pads:not(:has(.waiting))"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def pages(browser: Browser, served: Served) -> Iterator[Pages]:
    pages = Pages(browser, served.address, EARS, viewport={"width": 1440, "height": 900})
    yield pages
    pages.close()


@pytest.fixture(scope="module")
def opened(pages: Pages) -> Callable[..., Page]:
    """Return a function that opens the studio with the kit of the first page. A new kit would take a second."""
    links: list[str] = []

    def go(**options: Any) -> Page:
        page = pages.open(links[0] if links else "", **options)
        page.wait_for_selector(READY)
        if not links:
            page.wait_for_function("() => location.hash.length > 1")
            links.append(page.url[page.url.index("#") :])
        return page

    return go


@pytest.fixture(scope="module")
def shared(opened: Callable[..., Page]) -> Page:
    return opened()


@pytest.fixture
def page(shared: Page) -> Page:
    """Return the page that all tests of this module share, reset to the state in its URL."""
    shared.evaluate("() => sessionStorage.clear()")
    shared.keyboard.press("Escape")
    return shared


def state(page: Page) -> dict[str, Any]:
    """Return the kit and the patterns that the URL contains."""
    return page.evaluate(
        """async () => {
          await new Promise((done) => setTimeout(done, 1200));
          const { decode } = await import("/static/share.js");
          return decode(location.hash.slice(1), await (await fetch("/api/model")).json());
        }"""
    )


def sounds(page: Page) -> int:
    """Return the number of sounds that started since the last call."""
    return int(page.evaluate("() => { const n = started.length; started = []; return n; }"))


def cell(page: Page, pad: int, step: int) -> Locator:
    return page.locator(f'.cell[data-pad="{pad}"][data-step="{step}"]')


def press(page: Page, code: str, key: str, **more: bool) -> None:
    """Press a key of another keyboard layout. ``code`` is the position of the key, and ``key`` is the letter on it."""
    page.evaluate(
        """([code, key, more]) => {
          const event = { code, key, bubbles: true, cancelable: true, ...more };
          for (const kind of ["keydown", "keyup"]) document.activeElement.dispatchEvent(new KeyboardEvent(kind, event));
        }""",
        [code, key, more],
    )


def playing(page: Page) -> bool:
    return page.get_attribute("#transport", "aria-pressed") == "true"


def test_space_is_the_transport_after_every_click(page: Page) -> None:
    for target in (
        "#pad-5",
        "#pad-new",
        "#vary",
        "#keys",
        "#keys",
        "#undo",
        "#class",
        "#knob-decay",
        "#swing",
        "#tempo",
    ):
        page.click(target)
        page.wait_for_timeout(50)
        page.keyboard.press("Escape")  # Close a menu.
        before = page.locator(".pad .name").all_inner_texts()
        page.keyboard.press("Space")
        assert playing(page), target
        page.keyboard.press("Space")
        assert not playing(page), target
        assert page.locator(".pad .name").all_inner_texts() == before
    page.locator("#pad-lock").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")  # Space presses a button that was focused by a key.
    assert not playing(page) and page.get_attribute("#pad-lock", "aria-pressed") == "true"
    page.keyboard.press("Space")
    page.click("#transport")
    page.keyboard.press("Space")
    assert not playing(page)


def test_pads_by_place_and_shortcuts_by_letter(page: Page) -> None:
    page.click("#pad-1")
    press(page, "KeyZ", "y")  # QWERTZ: the key at the place of Z
    assert page.inner_text("#pad-title").startswith("Pad 13")
    press(page, "KeyQ", "a")  # AZERTY
    assert page.inner_text("#pad-title").startswith("Pad 5")
    press(page, "Digit2", "é")
    assert page.inner_text("#pad-title").startswith("Pad 2")
    tempo = page.input_value("#tempo")
    page.locator("#tempo").fill("150")
    page.locator("#tempo").press("Enter")
    press(page, "KeyY", "z", ctrlKey=True)  # QWERTZ: undo
    assert page.input_value("#tempo") == tempo
    press(page, "KeyY", "Z", ctrlKey=True, shiftKey=True)
    assert page.input_value("#tempo") == "150"
    press(page, "KeyZ", "я", ctrlKey=True)  # Cyrillic
    assert page.input_value("#tempo") == tempo
    press(page, "KeyZ", "y", ctrlKey=True)  # QWERTZ: redo
    assert page.input_value("#tempo") == "150"


def test_pad_keys_are_live_after_every_control(page: Page) -> None:
    page.wait_for_selector(READY)
    page.select_option("#morph-to", index=2)
    for target in (
        "#morph-to",
        "#copy-to",
        "#format",
        "#knob-attack",
        "#pad-level",
        "#vary-amount",
        "#clear",
        "#steps",
    ):
        page.locator(target).focus()
        sounds(page)
        page.keyboard.press("f")
        assert page.inner_text("#pad-title").startswith("Pad 12"), target
        page.keyboard.press("q")
        assert page.inner_text("#pad-title").startswith("Pad 5") and sounds(page) == 2, target
    page.locator("#tempo").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("123")
    assert page.inner_text("#pad-title").startswith("Pad 5")  # Digits change the tempo and play no pads.
    page.keyboard.press("Enter")
    page.keyboard.press("2")
    assert page.inner_text("#pad-title").startswith("Pad 2") and page.input_value("#tempo") == "123"
    page.locator("#pad-9").focus()
    assert page.inner_text("#pad-title").startswith("Pad 9")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#pad-title").startswith("Pad 10")


def test_midi_plays_pads_with_velocity(page: Page) -> None:
    notes = [pad["note"] for pad in state(page)["pads"]]
    page.click("#midi")
    page.wait_for_selector("#midi[aria-pressed=true]")
    assert "Pads" in page.inner_text("#says")
    played = page.evaluate(
        """async (messages) => {
          const gains = [], Node = GainNode;
          window.GainNode = class extends Node {
            constructor(context, options) { super(context, options); gains.push(options.gain); }
          };
          for (const data of messages) port.onmidimessage({ data: new Uint8Array(data) });
          window.GainNode = Node;
          return gains;
        }""",
        [
            [0x99, notes[6], 127],
            [0x90, notes[6], 0],
            [0x80, notes[6], 64],
            [0xB0, 1, 64],
            [0x9F, notes[3], 40],
            [0x90, 127, 90],
        ],
    )
    assert played == pytest.approx([1, 40 / 127]) and page.inner_text("#pad-title").startswith("Pad 4")
    mapped = page.evaluate(
        """async (notes) => { const { padOfNote } = await import("/static/midi-in.js");
          return [...Array(128).keys()].map((note) => padOfNote(note, notes.map((note) => ({ note })))); }""",
        notes,
    )
    assert [mapped[note] for note in notes] == list(range(16))
    assert all(mapped[note] == note - 36 for note in range(36, 52) if note not in notes)
    assert all(mapped[note] == -1 for note in range(128) if note not in notes and not 36 <= note < 52)
    page.click("#midi")
    assert page.evaluate("() => port.onmidimessage") is None


def test_steps_are_set_by_clicks_drags_and_keys(page: Page) -> None:
    page.click("#clear")
    target = cell(page, 2, 4)
    for word in ("on", "accent", "off"):
        target.click()
        assert str(target.get_attribute("aria-label")).endswith(f": {word}")
    box = target.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 1, y + 30, steps=5)
    assert page.inner_text(".bubble") == "49"
    page.mouse.up()
    assert target.get_attribute("data-value") == "49"  # One unit per pixel, starting at 79.
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 300, steps=5)
    page.mouse.up()
    assert target.get_attribute("data-value") == "127" and page.locator(".bubble").is_hidden()

    first, last = cell(page, 7, 2).bounding_box(), cell(page, 7, 9).bounding_box()
    assert first is not None and last is not None
    page.mouse.move(first["x"] + 8, first["y"] + 8)
    page.mouse.down()
    page.mouse.move(last["x"] + 8, last["y"] + 9, steps=2)  # A fast pointer skips steps.
    page.mouse.up()
    grid = state(page)["patterns"][0]["grid"]
    assert [step for step, velocity in enumerate(grid[7]) if velocity == 79] == list(range(2, 10))
    page.keyboard.press("Control+z")
    assert not any(state(page)["patterns"][0]["grid"][7])  # One gesture forms one undo step.

    target.focus()
    page.keyboard.press("-")
    assert target.get_attribute("data-value") == "119"
    page.keyboard.press("Delete")
    assert target.get_attribute("data-value") == "0"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")  # solo
    assert page.get_attribute('.row[aria-rowindex="3"] .solo', "aria-pressed") == "true"
    assert page.locator(".row.silent").count() == 15
    page.keyboard.press("Enter")


def test_patterns_have_8_to_64_steps_and_are_copied(page: Page) -> None:
    page.click("#clear")
    cell(page, 0, 0).click()
    cell(page, 1, 6).click()
    page.locator("#steps").fill("40")
    page.locator("#steps").press("Enter")
    assert page.locator("#pages-of-steps button:visible").count() == 3
    page.click("#pages-of-steps button >> nth=2")
    assert page.locator(".row.chosen .cell:visible").count() == 8
    assert cell(page, 0, 32).get_attribute("data-value") == "79"  # New steps repeat the old ones.
    cell(page, 0, 39).click()
    page.select_option("#copy-to", label="to C")
    page.click("#patterns button >> nth=2")
    now = state(page)
    assert now["pattern"] == 2 and now["patterns"][2] == now["patterns"][0] and now["patterns"][2]["steps"] == 40
    assert not any(map(any, now["patterns"][1]["grid"]))
    for wrong, right in (("3", "8"), ("100", "64")):
        page.locator("#steps").fill(wrong)
        page.locator("#steps").press("Enter")
        assert page.input_value("#steps") == right
    cell(page, 0, 15).focus()
    page.keyboard.press("ArrowRight")  # The key turns the page.
    assert page.evaluate("() => document.activeElement.dataset.step") == "16"
    page.click("#patterns button >> nth=0")

    played = page.evaluate(
        """async () => { const { Sequencer } = await import("/static/sequencer.js");
          const context = { currentTime: 0 }, heard = []; let pattern = 0;
          const grids = [8, 12].map((steps, which) => ({ steps, grid: [Array(64).fill(which + 1)] }));
          const it = new Sequencer(context, () => ({ pattern, tempo: 150, swing: 0.5, sounding: (i) => grids[i] }),
            (pad, time, velocity) => heard.push([Math.round((time - 0.06) * 1000), velocity]), () => {});
          it.start();
          for (; context.currentTime < 2.6; context.currentTime += 0.05) {
            if (context.currentTime > 0.3) pattern = 1;
            it.tick();
          }
          it.stop();
          return heard; }"""
    )
    assert [velocity for _, velocity in played[:21]] == [1] * 8 + [
        2
    ] * 13  # The second pattern begins when the first ends.
    assert [time for time, _ in played[:21]] == [100 * i for i in range(21)]


def test_undo_survives_a_reload(opened: Callable[..., Page]) -> None:
    page = opened()
    before = state(page)
    page.locator("#pad-pan").fill("-0.5")
    page.locator("#pad-tune").fill("3")
    cell(page, 5, 5).click()
    now = state(page)
    assert (now["pads"][0]["pan"], now["pads"][0]["tune"]) == (-0.5, 3)
    page.reload()
    page.wait_for_selector(READY)
    assert state(page) == now and page.locator("#undo").is_enabled()
    page.keyboard.press("Control+z")
    assert state(page)["patterns"] == before["patterns"]
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert state(page) == before
    page.reload()
    page.wait_for_selector(READY)
    page.keyboard.press("Control+Shift+z")
    assert state(page)["pads"][0]["pan"] == -0.5
    cell(page, 5, 6).click()
    page.reload()  # The URL has not been updated yet.
    page.wait_for_selector(READY)
    assert cell(page, 5, 6).get_attribute("data-value") == "79"


def test_files_of_a_pattern(page: Page, tmp_path: Path) -> None:
    pads = state(page)["pads"]
    page.click("#clear")
    page.locator("#steps").fill("16")
    page.locator("#steps").press("Enter")
    page.locator("#tempo").fill("120")
    page.locator("#tempo").press("Enter")
    page.locator("#swing").fill("66")
    for pad, step in ((0, 0), (6, 1), (6, 2), (9, 3)):
        cell(page, pad, step).click()
    page.locator('.row[aria-rowindex="10"] .mute').click()

    def download(target: str) -> Path:
        with page.expect_download() as waited:
            page.click(target)
        path = tmp_path / waited.value.suggested_filename
        waited.value.save_as(path)
        return path

    midi = download("#save-midi")
    assert midi.name == "pattern-A-120bpm.mid"
    from audiogan.kits.playing import read_pattern

    strokes = read_pattern(midi).strokes
    step = 0.125
    expected = [(0.0, 0), (step + 0.32 * step, 6), (2 * step, 6)]  # The muted pad is omitted.
    assert [(note, velocity) for _, note, velocity in strokes] == [(pads[pad]["note"], 79) for _, pad in expected]
    assert [seconds for seconds, _, _ in strokes] == pytest.approx([time for time, _ in expected], abs=0.5 / 960)

    loop, _ = soundfile.read(download("#save-loop"), always_2d=True)
    archive = zipfile.ZipFile(download("#save-stems"))
    assert archive.testzip() is None and len(archive.namelist()) == 2
    stems = [soundfile.read(io.BytesIO(archive.read(name)), always_2d=True)[0] for name in archive.namelist()]
    assert {len(stem) for stem in stems} == {len(loop)}
    assert np.abs(sum(stems) - loop).max() < 4e-7 * (1 + np.abs(loop).max())

    page.select_option("#format", "wav")
    kit = zipfile.ZipFile(download("#save-kit"))
    assert mido.MidiFile(file=io.BytesIO(kit.read("pattern-A.mid"))).length == pytest.approx(2.0)
    page.click("#clear")
    page.click("#save-loop")
    page.wait_for_selector("#says.wrong:text('no step')")
    page.locator('.row[aria-rowindex="10"] .mute').click()


def test_links_of_earlier_versions_open(page: Page) -> None:
    old = page.evaluate(
        """async () => { const { unpackPatterns, packPatterns } = await import("/static/pattern.js");
          const digits = Array(256).fill("0"); digits[16 * 3 + 5] = "1"; digits[16 * 15 + 15] = "2";
          const found = unpackPatterns(digits.join(""));
          const again = unpackPatterns(JSON.parse(JSON.stringify(packPatterns(found))));
          const rest = Array(3).fill([16, {}]), pattern = (...one) => [0, one, ...rest];
          const wrong = ["", "3".repeat(256), [0], [4, ...rest, [16, {}]], pattern(7, {}), pattern(65, {}),
            pattern(16, { 0: "80" }), pattern(16, { 0: 3 }), null, {}];
          return [found, JSON.stringify(found) === JSON.stringify(again), wrong.map(unpackPatterns)]; }"""
    )
    found, again, wrong = old
    grid = found["patterns"][0]["grid"]
    assert again and wrong == [None] * len(wrong)
    assert (grid[3][5], grid[15][15], sum(map(sum, grid)), found["patterns"][0]["steps"]) == (79, 127, 206, 16)


def test_knobs_say_what_a_percentile_means(page: Page) -> None:
    titles = {
        name: page.locator(f".field:has(#knob-{name})").get_attribute("title") or "" for name in ("brightness", "decay")
    }
    assert " Hz" in titles["brightness"] and " ms" in titles["decay"]
    assert " Hz" in str(page.get_attribute("#knob-brightness", "aria-valuetext"))
    values = page.evaluate(
        """async () => { const { valueAt, withUnit, knobMeaning } = await import("/static/knobs.js");
          const values = [valueAt([0, 10, 40], 0.75), valueAt([0, 10, 40], 1)];
          return [...values, withUnit(10, "log2 Hz"), withUnit(-1.5, "log10 s"), knobMeaning("x", 0.25).long]; }"""
    )
    assert values == [25, 40, "1,020 Hz", "31.6 ms", "25 % of the training sounds have less"]


def test_pads_and_pattern_are_visible_together_on_a_desktop(page: Page) -> None:
    sizes = page.evaluate(
        "() => [document.documentElement.scrollHeight, innerHeight, document.documentElement.scrollWidth, innerWidth]"
    )
    assert sizes[0] <= sizes[1] and sizes[2] <= sizes[3]
    for target in ("#pad-1", "#pad-16", "#transport"):
        assert page.locator(target).is_visible()
    last = cell(page, 15, 15).bounding_box()
    assert last is not None and last["y"] + last["height"] <= 900


ROLES = """() => {
  const problems = [], ids = new Set();
  for (const e of document.querySelectorAll("*")) {
    if (e.id && ids.has(e.id)) problems.push(`two elements are called ${e.id}`);
    ids.add(e.id);
    for (const name of ["aria-controls", "aria-labelledby", "aria-describedby", "for"])
      for (const id of (e.getAttribute(name) ?? "").split(" "))
        if (id && !document.getElementById(id)) problems.push(`${name}=${id}`);
    const parent = e.parentElement?.closest("[role]")?.getAttribute("role");
    const role = e.getAttribute("role"), needed = { row: "grid", gridcell: "row", rowheader: "row" }[role];
    if (needed && parent !== needed) problems.push(`${role} in ${parent}`);
    const hidden = e.closest("[aria-hidden=true]");
    if (hidden && e.tabIndex >= 0 && e.checkVisibility()) problems.push(`hidden focus: ${e.tagName}`);
  }
  for (const one of ["main", "h1"]) if (document.querySelectorAll(one).length !== 1) problems.push(one);
  return problems;
}"""


def test_assistive_technology(opened: Callable[..., Page]) -> None:
    page = opened(bypass_csp=True, forced_colors="active")
    assert page.evaluate(ROLES) == []
    looks = page.evaluate(
        """() => [0, 127].map((value) => `.cell[data-value="${value}"]`)
          .concat([true, false].map((on) => `.letter[aria-pressed=${on}]`))
          .map((one) => getComputedStyle(document.querySelector(one)))
          .map((style) => style.backgroundColor + style.backgroundImage)"""
    )
    assert looks[0] != looks[1] and looks[2] != looks[3]  # States can be distinguished without the colours of the page.
    axe = pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text())
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        found = page.evaluate("() => axe.run()")
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []


TARGETS = """() => {
  const seen = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility());
  const boxes = seen("button, select, input, a").filter((e) => !e.closest("dialog"))
    .map((e) => ({ e, name: e.id || e.className || e.textContent, box: e.getBoundingClientRect() }));
  const small = boxes.filter(({ box }) => box.width < 43.9 || box.height < 43.9).map(({ name }) => name);
  const flow = boxes.filter(({ e }) => !e.matches("#transport, #new-kit, .lock")), overlaps = [];
  const meet = (x, y) => x.left < y.right - 1 && y.left < x.right - 1 && x.top < y.bottom - 1 && y.top < x.bottom - 1;
  flow.forEach((one, i) => {
    for (const other of flow.slice(0, i)) if (meet(one.box, other.box)) overlaps.push([one.name, other.name]);
  });
  return { small, overlaps, wide: document.documentElement.scrollWidth - innerWidth, cells: seen(".cell").length };
}"""


@pytest.mark.parametrize("size", [(320, 640), (390, 844), (768, 1024)])
def test_touch_screens(opened: Callable[..., Page], size: tuple[int, int]) -> None:
    page = opened(**{**PHONE, "viewport": {"width": size[0], "height": size[1]}})
    found = page.evaluate(TARGETS)
    assert found == {"small": [], "overlaps": [], "wide": 0, "cells": 16}  # the steps of one pad
    for target in ("#transport", "#new-kit"):  # The bar stays visible.
        for y in (0, 600, 5000):
            page.evaluate("(y) => scrollTo(0, y)", y)
            box = page.locator(target).bounding_box()
            assert box is not None and size[1] - 90 < box["y"] < box["y"] + box["height"] <= size[1]
    page.evaluate("() => scrollTo(0, 0)")
    page.locator("#pad-7").tap()
    assert page.locator('.row[aria-rowindex="7"]').is_visible() and page.locator(".row:visible").count() == 1


def test_fingers_scroll_or_set_steps_but_never_paint(opened: Callable[..., Page]) -> None:
    page = opened(**PHONE)
    page.click("#clear")
    before = state(page)
    target = page.locator(".row.chosen .cell").nth(4)
    target.scroll_into_view_if_needed()
    touch = page.context.new_cdp_session(page)

    def finger(kind: str, x: float, y: float) -> None:
        points = [] if kind == "touchEnd" else [{"x": x, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    box = target.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate("() => { window.realSetTimeout = window.setTimeout; window.setTimeout = () => 0; }")
    finger("touchStart", x, y)  # No timer runs, so a slow machine does not turn the gesture into a long press.
    for i in range(1, 12):
        finger("touchMove", x, y - 12 * i)
    finger("touchEnd", x, y)
    page.evaluate("() => { window.setTimeout = window.realSetTimeout; }")
    page.wait_for_timeout(100)
    assert state(page)["patterns"] == before["patterns"]  # The gesture scrolled the page.

    target.scroll_into_view_if_needed()
    target.tap()
    assert target.get_attribute("data-value") == "79"
    box = target.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    scrolled = page.evaluate("() => scrollY")
    finger("touchStart", x, y)
    page.wait_for_timeout(450)  # a long press
    for i in range(1, 9):
        finger("touchMove", x, y + 5 * i)
    finger("touchEnd", x, y)
    page.wait_for_timeout(100)
    assert int(target.get_attribute("data-value") or 0) == pytest.approx(39, abs=6)
    assert page.evaluate("() => scrollY") == scrolled
