"""Tests of the page in a real browser (the system's Chromium): sound, storage, links, timing and accessibility."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from studio_pages import Pages

from audiogan.kits import Kit, Pad, play_pattern
from audiogan.kits.rendering import render_hits
from audiogan.model.recipe import Recipe
from audiogan.model.sampling import read_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from audiogan import Generator
    from tests.studio.conftest import Served


MASTER, ACCENT, ON = 0.8, 1.0, 79 / 127
# The script stores the played samples (`tap`) and the start times of sources (`started`).
EAR = """
window.started = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when) {
  if (this.context instanceof AudioContext) started.push({ when, now: this.context.currentTime });
  return start.call(this, when);
};
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode && this.context instanceof AudioContext) {
    window.tap ??= new AnalyserNode(this.context, { fftSize: 32768 });
    connect.call(this, window.tap);
  }
  return connect.call(this, to, ...rest);
};
"""
READY = ".pads:not(:has(.waiting))"


@pytest.fixture
def opened(browser: Browser, served: Served) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the studio."""
    pages = Pages(browser, served.address, EAR, viewport={"width": 1440, "height": 1100})

    def go(fragment: str = "", **options: Any) -> Page:
        page = pages.open(fragment, **options)
        page.wait_for_selector(READY)
        return page

    yield go
    pages.close()


def state(page: Page) -> dict[str, Any]:
    """Return the kit and the pattern that the URL contains."""
    return page.evaluate(
        """async () => {
          await new Promise((done) => setTimeout(done, 600)); // the address follows
          const { decode } = await import("/static/share.js");
          return decode(location.hash.slice(1), await (await fetch("/api/model")).json());
        }"""
    )


def kit_waves(page: Page, drums: Generator, rate: int = 16000) -> list[np.ndarray]:
    """Return the sounds of the pads in files for samplers, by default at the sample rate of the model."""
    pads = [
        Pad(pad["name"], pad["note"], (recipe,), pad["level"], pad["pan"], pad["tune"])
        for pad, recipe in zip(state(page)["pads"], recipes(page), strict=True)
    ]
    return [hits[0].wave for hits in render_hits(drums, Kit(tuple(pads), "drums"), rate)]


def recipes(page: Page) -> list[Recipe]:
    return [Recipe.from_json(json.dumps(pad["recipe"])) for pad in state(page)["pads"]]


def heard(page: Page, wave: np.ndarray) -> float:
    """Return the gain with which the last two seconds that were played contain this sound, sample by sample, or 0."""
    wave = wave[0, :16000]
    page.wait_for_timeout(250 + len(wave) / 16)
    samples = np.array(
        page.evaluate(
            "() => { const all = new Float32Array(32768); tap.getFloatTimeDomainData(all); return [...all]; }"
        )
    )
    energy = np.convolve(np.square(samples), np.ones(len(wave)), "valid")
    offset = int(np.argmax(np.correlate(samples, wave, "valid") / np.sqrt(energy + 1e-9)))
    played = samples[offset : offset + len(wave)]
    gain = float(played @ wave / (wave @ wave))
    return gain if np.abs(played - gain * wave).max() < 1e-5 else 0.0


def test_pads_sound_as_python_has_them(opened: Callable[..., Page], drums: Generator) -> None:
    page = opened()
    page.wait_for_selector("body[data-gain]")
    mine = kit_waves(page, drums)
    page.locator("#pad-3").click(position={"x": 60, "y": 1})  # A click at the upper edge has the highest gain.
    assert heard(page, mine[2]) == pytest.approx(MASTER, abs=1e-4)
    page.wait_for_timeout(1000)
    page.keyboard.press("q")
    assert heard(page, mine[4]) == pytest.approx(MASTER * 0.9**2, abs=1e-4)
    box = page.locator("#pad-16").bounding_box()
    assert box is not None
    page.wait_for_timeout(1000)
    page.locator("#pad-16").click(position={"x": 60, "y": box["height"] / 2})
    assert heard(page, mine[15]) == pytest.approx(MASTER * 0.7**2, abs=0.02)


def test_keep_change_undo_and_share(opened: Callable[..., Page]) -> None:
    page = opened()
    first = recipes(page)
    page.keyboard.press("Shift+KeyQ")
    page.locator(".pad").nth(1).hover()
    page.locator(".pad .lock").nth(1).click()
    page.click("#new-kit")
    page.wait_for_selector("#says:text('2 locked pads kept')")
    second = recipes(page)
    assert [i for i in range(16) if first[i] == second[i]] == [1, 4]
    page.click("#pad-7")
    page.locator("#morph").fill("8")
    page.wait_for_selector("#scope-note:text('%')")
    page.locator("#knob-brightness").fill("90")
    page.click("#vary")
    page.wait_for_selector(READY)
    page.locator('.cell[data-pad="8"][data-step="1"]').click()
    page.locator("#tempo").fill("97")
    page.locator("#tempo").press("Enter")
    page.locator("#swing").fill("66")
    now = state(page)
    changed = Recipe.from_json(json.dumps(now["pads"][6]["recipe"]))
    assert changed.knobs["brightness"] == 0.9 and changed != second[6]
    assert (now["tempo"], now["swing"], now["patterns"][0]["grid"][8][1]) == (97, 66, 79)

    other = opened(page.url[page.url.index("#") :])  # Open the link in another browser.
    assert state(other) == now
    assert other.locator(".pad.locked").count() == 2 and other.input_value("#tempo") == "97"
    other.reload()
    other.wait_for_selector(READY)
    assert state(other) == now

    for _ in range(30):
        if page.locator("#undo").is_disabled():
            break
        page.click("#undo")
    assert recipes(page) == first and page.locator(".pad.locked").count() == 0
    for _ in range(3):
        page.keyboard.press("Control+Shift+z")
    assert recipes(page) == second


def test_links_of_other_models_and_broken_ones_are_named(opened: Callable[..., Page]) -> None:
    page = opened()
    link = page.evaluate(
        """async () => {
          await new Promise((done) => setTimeout(done, 500));
          const { decode, encode } = await import("/static/share.js");
          const model = await (await fetch("/api/model")).json();
          return encode(await decode(location.hash.slice(1), model), { ...model, fingerprint: "00000000" });
        }"""
    )
    other = opened(f"#{link}")
    assert "model “drums” (00000000)" in other.inner_text("#notice")
    before = recipes(other)
    for broken in ("#1.AAAA", "#nonsense", f"#{link[:-40]}"):
        other.evaluate(
            "(hash) => { document.getElementById('notice').textContent = ''; location.hash = hash; }", broken
        )
        other.wait_for_selector("#notice:text('incomplete')")
    assert recipes(other) == before


def test_the_sequencer_is_in_time(opened: Callable[..., Page]) -> None:
    page = opened()
    tempo, swing = 97, 0.62
    length = 15 / tempo
    due = [step * length + (step % 2) * (2 * swing - 1) * length for step in range(16)]
    times = page.evaluate(
        """async ([tempo, swing]) => {
          const { notes } = await import("/static/sequencer.js");
          const grid = Array.from({ length: 16 }, (_, pad) => Array(16).fill(pad === 3 ? 79 : 0));
          return notes({ grid, tempo, swing }).map(({ time }) => time);
        }""",
        [tempo, swing],
    )
    assert np.allclose(times, due, rtol=0, atol=1e-9)

    page.evaluate("() => { window.started = []; }")
    page.locator("#tempo").fill(str(tempo))
    page.locator("#tempo").press("Enter")
    page.locator("#swing").fill("62")
    page.click("#clear")
    for step in range(16):
        page.locator(f'.cell[data-pad="0"][data-step="{step}"]').click()
    page.click("#transport")
    page.wait_for_timeout(1500)
    page.click("#transport")
    live = page.evaluate("() => started")
    when = np.array([one["when"] for one in live])
    grid = np.array([bar * 16 * length + t for bar in range(3) for t in due])
    off = np.abs((when - when[0])[:, None] - grid).min(axis=1)
    assert len(when) >= 4 and off.max() < 1.1 / 16000  # On a busy machine, steps may be skipped but not shifted.


def test_downloads_arrive_and_open(opened: Callable[..., Page], drums: Generator, tmp_path: Path) -> None:
    page = opened()

    def saved(button: str, name: str) -> Path:
        with page.expect_download() as waited:
            page.click(button)
        waited.value.save_as(tmp_path / name)
        return tmp_path / name

    mine, [*_, crash] = recipes(page), kit_waves(page, drums, 48000)
    page.select_option("#rate", "48000")
    page.click("#pad-16")
    wave, rate = soundfile.read(saved("#pad-save", "pad.wav"), dtype="float32")
    assert read_recipe(tmp_path / "pad.wav") == mine[15] and soundfile.info(tmp_path / "pad.wav").subtype == "PCM_24"
    assert rate == 48000 and np.abs(wave - crash[0]).max() < 2**-23

    page.select_option("#format", "wav")
    archive = zipfile.ZipFile(saved("#save-kit", "kit.zip"))
    files = [name for name in archive.namelist() if name.endswith(".wav")]
    assert len(files) == 16 and (tmp_path / "pad.wav").read_bytes() in [archive.read(name) for name in files]

    page.click("#clear")
    page.locator('.cell[data-pad="15"][data-step="2"]').click(modifiers=["Shift"])  # The step gets an accent.
    page.locator('.cell[data-pad="15"][data-step="15"]').click()  # The sound rings beyond the end of the loop.
    page.locator("#swing").fill("57")
    loop, rate = soundfile.read(saved("#save-loop", "loop.wav"), always_2d=True)
    length = 15 / 112
    expected = np.zeros(4 * len(loop))
    for time, gain in ((2 * length, ACCENT), ((15 + 0.14) * length, ON)):
        start = round(time * rate)
        near = [round(tick * 60 / 112 / 480 * rate) for tick in (round(time * 112 / 60 * 480),)]
        assert abs(near[0] - start) <= 0.5 * 60 / 112 / 480 * rate + 1  # Times are rounded to 480 ticks per beat.
        expected[near[0] : near[0] + crash.shape[1]] += gain * crash[0]
    expected = expected.reshape(4, -1).sum(axis=0)
    assert len(loop) == round(16 * length * rate) and np.abs(loop[:, 0] - expected).max() < 2**-22
    midi = saved("#save-midi", "loop.mid")
    page.select_option("#format", "json")
    kit = Kit.from_json(saved("#save-kit", "kit.json").read_text())
    played = play_pattern(drums, kit, midi, sample_rate=48000, loop=True)
    assert np.abs(loop.T - played).max() <= 2**-23
    stems = zipfile.ZipFile(saved("#save-stems", "stems.zip"))
    assert len(stems.namelist()) == 1
    assert np.array_equal(soundfile.read(io.BytesIO(stems.read(stems.namelist()[0])), always_2d=True)[0], loop)


def test_a_recording_dropped_on_a_pad(opened: Callable[..., Page], drums: Generator) -> None:
    page = opened()
    before = recipes(page)
    file = io.BytesIO()
    soundfile.write(file, drums.sample(1, seed=11, label="snare")[0, 0], 16000, format="WAV")
    page.route(
        "**/api/imitate?*", lambda route: route.continue_(url=re.sub(r"seconds=\d+", "seconds=0.2", route.request.url))
    )
    dropped = page.evaluate_handle(
        """(bytes) => { const it = new DataTransfer();
          it.items.add(new File([new Uint8Array(bytes)], "mine.wav", { type: "audio/wav" })); return it; }""",
        list(file.getvalue()),
    )
    page.locator(".pad").nth(5).dispatch_event("drop", {"dataTransfer": dropped})
    page.wait_for_selector("#imitate-progress:not([hidden])")
    page.wait_for_selector("#imitate-says:text('dB apart')", timeout=90_000)
    after = recipes(page)
    assert [i for i in range(16) if before[i] != after[i]] == [5]
    page.unroute("**/api/imitate?*")
    page.locator(".pad").nth(7).dispatch_event("drop", {"dataTransfer": dropped})
    page.wait_for_selector("#imitate-progress:not([hidden])")
    page.locator("#imitate-stop").dispatch_event("click")  # `click` would wait for a stable layout, and so for the end.
    page.wait_for_selector("#imitate-says:text('stopped')", timeout=5_000)
    assert recipes(page) == after and page.locator("#imitate-stop").is_hidden()
    junk = page.evaluate_handle(
        "() => { const it = new DataTransfer(); it.items.add(new File(['x'], 'x.wav')); return it; }"
    )
    page.route(
        "**/api/imitate?*", lambda route: route.fulfill(status=200, body='{"error": "there is nothing to hear"}\n')
    )
    page.locator(".pad").nth(6).dispatch_event("drop", {"dataTransfer": junk})
    page.wait_for_selector("#says.wrong:text('nothing to hear')")
    assert recipes(page) == after


def test_everything_has_a_name_and_is_reached_by_keys(opened: Callable[..., Page]) -> None:
    page = opened()
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    controls = {"button", "slider", "combobox", "spinbutton", "gridcell", "textbox", "checkbox", "link", "rowheader"}
    found = [node for node in tree if not node.get("ignored") and node.get("role", {}).get("value") in controls]
    nameless = [node["role"]["value"] for node in found if not node.get("name", {}).get("value", "").strip()]
    assert len(found) > 300 and nameless == []

    page.locator("body").focus()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        here, outline = page.evaluate(
            """() => { const e = document.activeElement;
              const step = e.dataset.pad && `${e.dataset.pad}/${e.dataset.step}`;
              const name = e.id || step || `${e.tagName} ${e.innerText}`;
              return [e === document.body ? "" : name, getComputedStyle(e).outlineStyle]; }"""
        )
        if here in reached or not here:
            break
        assert outline != "none", here
        reached.append(here)
    wanted = {"share", "keys", "theme", "help", "new-kit", "pad-1", "pad-lock", "pad-new", "pad-save", "scope", "class"}
    wanted |= {
        "knob-decay",
        "vary",
        "vary-amount",
        "morph",
        "morph-to",
        "imitate",
        "transport",
        "tempo",
        "swing",
        "clear",
    }
    wanted |= {"format", "rate", "bits", "save-kit", "save-loop", "0/0"}
    assert wanted <= set(reached)
    assert "pad-2" not in reached and "0/1" not in reached  # There is one tab stop for the pads and one for the steps.

    page.locator("#pad-1").focus()
    for key in ("ArrowRight", "ArrowDown", "End"):
        page.keyboard.press(key)
    assert page.evaluate("() => document.activeElement.id") == "pad-8"
    page.keyboard.press("Enter")
    assert page.inner_text("#pad-title").startswith("Pad 8")
    cell = page.locator('.cell[data-pad="8"][data-step="0"]')
    page.locator('.cell[data-pad="7"][data-step="0"]').focus()
    page.keyboard.press("ArrowDown")
    for word in ("on", "accent", "off"):
        page.keyboard.press("Enter")
        assert str(cell.get_attribute("aria-label")).endswith(f": {word}")
    page.click("#keys")
    page.keyboard.press("Shift+KeyQ")
    assert page.locator(".pad.locked").count() == 0  # The keys for pads are switched off.


CONTRAST = """() => {
  const UNREAD = ":disabled, [hidden], .says, dialog";
  const READ = "h1, h2, p, span, button, label, output, kbd, small, select, input[type=number]";
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (...colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((x) => x / 255).map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => { // what is painted behind its text, from the page upwards; of gradients the worst colour
    const stack = [];
    for (let at = e; at; at = at.parentElement) stack.unshift(getComputedStyle(at));
    let grounds = [["white"]];
    for (const style of stack) {
      const stops = style.backgroundImage.match(/(oklch|oklab|rgba?|color)\\([^()]*\\)/g);
      const colours = stops?.length ? stops : [style.backgroundColor];
      grounds = grounds.slice(0, 8).flatMap((ground) => colours.map((colour) => [...ground, colour]));
    }
    return grounds;
  };
  const worst = {};
  for (const e of document.querySelectorAll(READ)) {
    const own = [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!(own || /SELECT|INPUT|OUTPUT/.test(e.tagName)) || e.closest(UNREAD) || !e.getClientRects().length) continue;
    const ink = getComputedStyle(e).color;
    for (const ground of behind(e)) {
      const [a, b] = [light(paint(...ground, ink)), light(paint(...ground))].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05), name = e.id || e.className || e.tagName;
      if (!(worst[name] < ratio)) worst[name] = ratio;
    }
  }
  return worst;
}"""


def test_both_themes_can_be_read(opened: Callable[..., Page]) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page = opened(color_scheme=scheme)
        worst = page.evaluate(CONTRAST)
        assert len(worst) > 20
        assert {name: ratio for name, ratio in worst.items() if ratio < 4.5} == {}
        grounds.append(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
    assert grounds[0] != grounds[1]
    page.click("#theme")  # The other theme stays selected after a reload.
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == grounds[0]
    page.reload()
    page.wait_for_selector("body[data-ready]", state="attached")
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == grounds[0]
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.mark.skipif("AUDIOGAN_SCREENSHOTS" not in os.environ, reason="set AUDIOGAN_SCREENSHOTS=docs to make them anew")
def test_screenshots(opened: Callable[..., Page], browser: Browser) -> None:
    folder = Path(os.environ["AUDIOGAN_SCREENSHOTS"])
    for scheme in ("light", "dark"):
        page = opened(color_scheme=scheme, device_scale_factor=1.5, viewport={"width": 1440, "height": 900})
        page.route("**/api/kit", lambda route: route.continue_(post_data='{"seed": 7}'))
        page.click("#new-kit")
        page.wait_for_selector("#says:text('New kit')")
        page.wait_for_selector(READY)
        for pad in (2, 9):
            page.locator(".pad .lock").nth(pad).dispatch_event("click")
        page.locator('.row[aria-rowindex="9"] .mute').click()
        page.locator("#steps").fill("32")
        page.locator("#steps").press("Enter")
        for pad, step, velocity in ((6, 1, 30), (6, 3, 40), (6, 5, 25), (6, 7, 50), (2, 13, 45)):
            box = page.locator(f'.cell[data-pad="{pad}"][data-step="{step}"]').bounding_box()
            assert box is not None
            page.mouse.move(box["x"] + 20, box["y"] + 10)
            page.mouse.down()
            page.mouse.move(box["x"] + 20, box["y"] + 10 + 79 - velocity, steps=4)
            page.mouse.up()
        page.click("#transport")
        page.wait_for_selector("#says:not(.shown)", state="attached")
        page.locator("#pad-1").click()
        page.wait_for_timeout(400)
        page.screenshot(path=folder / f"studio-{scheme}.png")
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    page = opened(page.url[page.url.index("#") :], color_scheme="light", **phone)
    page.locator("#pad-7").tap()
    page.evaluate("() => scrollTo(0, 225)")
    page.wait_for_timeout(500)
    page.screenshot(path=folder / "studio-phone.png")
