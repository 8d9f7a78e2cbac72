"""Tests of finding sounds in a real browser: variations, the map, drag and drop, imitations, and the blind listening
test."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from conftest import Served, serve
from studio_pages import Pages
from test_studio_finding import hit
from test_studio_page import CONTRAST

from audiogan.model.recipe import Recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from audiogan import Generator

# The script stores the buffers that are played.
EARS = """
window.started = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...rest) {
  if (this.context instanceof AudioContext) started.push(this.buffer);
  return start.apply(this, rest);
};
"""
READY = ".pads:not(:has(.waiting))"
FOUND = "#panel-find:not([aria-busy]) .found:not(.centre):not(:disabled)"
SECONDS = 60_000
LAST = "() => { const b = started.at(-1); return b ? [...b.getChannelData(0)] : []; }"
PADS = """async () => {
  await new Promise((done) => setTimeout(done, 600));
  const { decode } = await import("/static/share.js");
  return (await decode(location.hash.slice(1), await (await fetch("/api/model")).json()));
}"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("my sounds")
    for i in range(10):
        name = folder / ("kick" if i % 2 else "snare") / f"{i}.wav"
        name.parent.mkdir(exist_ok=True)
        soundfile.write(name, hit(i, hz=60 if i % 2 else 400), 44_100)
    return folder


@pytest.fixture(scope="module")
def studio(recorded: Path) -> Iterator[Served]:
    """Run ``audiogan studio drums --recordings FOLDER``."""
    with serve("--recordings", str(recorded)) as served:
        yield served


@pytest.fixture
def opened(browser: Browser, studio: Served) -> Iterator[Callable[..., Page]]:
    pages = Pages(browser, studio.address, EARS, viewport={"width": 1440, "height": 1000})

    def go(path: str = "", **options: Any) -> Page:
        page = pages.open(path, **options)
        page.set_default_timeout(SECONDS)
        if not path.startswith("blind"):
            page.wait_for_selector(READY)
        return page

    yield go
    pages.close(expected="422")  # The browser reports refused requests.


def pads(page: Page) -> list[dict[str, Any]]:
    return page.evaluate(PADS)["pads"]


def recipe_of(pad: dict[str, Any]) -> Recipe:
    return Recipe.from_json(json.dumps(pad["recipe"]))


def plays(page: Page, studio: Served, recipe: Recipe) -> bool:
    """Return whether the sound that was started last is that of a pad with this recipe."""
    page.wait_for_timeout(400)
    answer = page.request.post(f"{studio.address}/api/pad.wav", data={"recipe": json.loads(recipe.to_json())})
    wave, last = soundfile.read(io.BytesIO(answer.body()), dtype="float32")[0], np.array(page.evaluate(LAST))
    return len(last) == len(wave) and bool(np.abs(last - wave).max() < 1e-6)


def test_eight_sounds_around_a_sound_are_heard_and_kept(opened: Callable[..., Page], studio: Served) -> None:
    page = opened()
    page.click("#pad-3")
    page.click("#open-find")
    page.wait_for_selector(FOUND)
    assert page.locator(FOUND).count() == 8 and page.locator(".found.centre[aria-pressed=true]").count() == 1
    before = recipe_of(pads(page)[2])

    page.locator(".found").nth(1).hover()
    page.wait_for_function("() => started.length > 1")  # The found sound is played after the pad.
    heard = page.evaluate(LAST)
    assert recipe_of(pads(page)[2]) == before and heard
    page.locator(".found").nth(1).click()
    page.wait_for_selector(".found:nth-child(2)[aria-pressed=true]")
    kept = recipe_of(pads(page)[2])
    assert kept != before and kept.label == before.label
    assert plays(page, studio, kept) and page.evaluate(LAST) == heard  # The sound that was heard is the one on the pad.
    assert page.locator(".found:nth-child(2)[aria-pressed=true]").count() == 1  # The other seven sounds stay.
    page.locator(".found").nth(4).click()
    assert recipe_of(pads(page)[2]) == before
    page.click("#undo")
    assert recipe_of(pads(page)[2]) == kept

    page.locator(".found").nth(0).focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert page.evaluate("() => [...document.querySelectorAll('.found')].indexOf(document.activeElement)") == 5
    page.wait_for_timeout(400)
    heard = page.evaluate(LAST)
    page.keyboard.press("Enter")
    page.wait_for_selector(".found:nth-child(6)[aria-pressed=true]")
    assert plays(page, studio, recipe_of(pads(page)[2])) and page.evaluate(LAST) == heard

    page.click("#find-more")
    page.wait_for_selector(".found.centre[aria-pressed=true]")
    page.wait_for_selector(FOUND)
    page.click("#pad-9")  # Another pad has other similar sounds.
    page.wait_for_timeout(400)
    page.wait_for_selector(FOUND)
    assert page.locator(".found.centre").get_attribute("aria-label") == f"before: {pads(page)[8]['name']}"


def test_similar_sounds_and_directions(opened: Callable[..., Page]) -> None:
    page = opened()
    page.click("#open-find")
    page.get_by_role("button", name="Similar").click()
    page.wait_for_selector(FOUND)
    names = page.locator(FOUND).all_inner_texts()
    far = [float(name.split()[-1]) for name in names]
    assert far == sorted(far) and page.locator("#find-amount").is_hidden()
    page.get_by_role("button", name="Directions").click()
    page.wait_for_selector(FOUND)
    names = page.locator(".found").all_inner_texts()
    words = {
        "brighter": "darker",
        "noisier": "more tonal",
        "longer": "shorter",
        "softer": "sharper",
        "louder": "quieter",
    }
    words |= {"higher": "lower", "more bass": "less bass"}
    words |= {low: high for high, low in words.items()}
    opposite = [", ".join(words.get(word, word) for word in name.split(", ")) for name in names]
    assert [opposite[8 - i] for i in range(4)] == names[:4]


@pytest.mark.parametrize("what", ["pads", "copy", "keys"])
def test_pads_are_swapped_and_copied(opened: Callable[..., Page], what: str) -> None:
    page = opened()
    before = page.evaluate(PADS)
    if what == "keys":
        page.locator("#pad-1").focus()
        page.keyboard.press("Alt+ArrowRight")
        page.keyboard.press("Alt+ArrowDown")
        page.keyboard.press("Alt+ArrowLeft")
        page.keyboard.press("Alt+ArrowLeft")  # At the edge of the pads, nothing happens.
        assert page.evaluate("() => document.activeElement.id") == "pad-5"
        page.locator("#pad-5").press("Alt+ArrowUp")
        after = page.evaluate(PADS)
        moved = [0, 5, 1, 4]  # Sounds of the pads 1, 2, 5 and 6 after moves to the right, down, left and up.
        assert [recipe_of(after["pads"][i]) for i in (0, 1, 4, 5)] == [recipe_of(before["pads"][i]) for i in moved]
        return
    if what == "copy":
        page.keyboard.down("Alt")
    page.locator("#pad-1").drag_to(page.locator("#pad-7"))
    page.keyboard.up("Alt")
    page.wait_for_selector("#says.shown")
    after = page.evaluate(PADS)
    if what == "copy":
        assert recipe_of(after["pads"][6]) == recipe_of(before["pads"][0]) == recipe_of(after["pads"][0])
        return
    order = [6, *range(1, 6), 0, *range(7, 16)]
    assert [pad["name"] for pad in after["pads"]] == [before["pads"][i]["name"] for i in order]
    assert [pad["note"] for pad in after["pads"]] == [before["pads"][i]["note"] for i in order]
    grid = before["patterns"][0]["grid"]
    assert after["patterns"][0]["grid"] == [grid[i] for i in order] != grid  # The pattern sounds as before.
    page.click("#undo")
    assert page.evaluate(PADS)["pads"] == before["pads"]


def test_a_pad_is_dragged_out_as_a_file(opened: Callable[..., Page]) -> None:
    page = opened()
    with page.expect_download() as waited:
        kind, name = page.evaluate(
            """() => {
              const dataTransfer = new DataTransfer();
              const pad = document.getElementById("pad-2");
              pad.dispatchEvent(new DragEvent("dragstart", { dataTransfer, bubbles: true }));
              const [, kind, name, url] = dataTransfer.getData("DownloadURL").match(/^([^:]+):([^:]+):(.+)$/);
              const link = document.createElement("a");
              Object.assign(link, { href: url, download: name }).click();
              return [kind, name];
            }"""
        )
    assert kind == "audio/wav" and re.fullmatch(r"[\w.-]+\.wav", name) and waited.value.suggested_filename == name
    assert soundfile.info(waited.value.path()).frames > 1000


def test_the_map_plays_and_gives_sounds(opened: Callable[..., Page], drums: Generator, studio: Served) -> None:
    page = opened()
    page.click("#open-map")
    page.wait_for_selector(".point")
    assert page.locator(".point").count() == 250 and page.locator(".point.own").count() == 10
    assert "240 generated sounds (dots), 10 recordings (squares)" in page.inner_text("#map-says")
    point = page.locator(".point:not(.own)").nth(17)
    point.click(force=True)
    recipe = drums.recipes(240, seed=0)
    chosen = page.evaluate("() => [...document.querySelectorAll('.point')].findIndex((p) => p.matches('.chosen'))")
    assert plays(page, studio, recipe[chosen])
    page.locator(".point").nth(40).drag_to(page.locator("#pad-6"))
    page.wait_for_timeout(600)
    assert recipe_of(pads(page)[5]) in recipe
    page.click("#pad-12")
    assert page.inner_text("#map-put") == "Put on pad 12"

    page.locator(".point").nth(0).focus()
    at = [page.evaluate("() => document.activeElement.getBoundingClientRect().x")]
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        at.append(page.evaluate("() => document.activeElement.getBoundingClientRect().x"))
    assert at == sorted(at) and page.locator(".point:focus").count() == 1
    page.keyboard.press("Enter")
    page.click("#map-put")
    page.wait_for_timeout(600)
    assert recipe_of(pads(page)[11]) in recipe
    page.select_option("#map-class", "snare")
    page.wait_for_selector("#panel-map:not([aria-busy])")
    assert page.locator(".point.own").count() == 5


def test_a_recording_of_the_map_is_imitated_and_compared(opened: Callable[..., Page]) -> None:
    page = opened()
    page.route(
        "**/api/imitate?*", lambda route: route.continue_(url=re.sub(r"seconds=\d+", "seconds=0.2", route.request.url))
    )
    page.click("#open-map")
    page.wait_for_selector(".point.own")
    page.locator(".point.own").first.drag_to(page.locator("#pad-8"))
    page.wait_for_selector("#says:text('dB apart')")
    page.click("#open-map")  # A second click shows the editor of the pad again.
    page.click("#compare-source")
    page.wait_for_timeout(300)
    source = np.array(page.evaluate(LAST))
    page.click("#compare-imitation")
    page.wait_for_timeout(300)
    made = np.array(page.evaluate(LAST))
    size = min(len(source), len(made))
    assert size > 1000 and np.abs(source[:size] - made[:size]).max() > 0.001
    page.click("#pad-1")
    assert page.locator(".compare").is_hidden()
    page.click("#pad-8")
    assert page.locator(".compare").is_visible()


def test_the_microphone_records_until_the_sound_ends(opened: Callable[..., Page]) -> None:
    page = opened()
    bodies = []

    def answer(route: Any) -> None:
        bodies.append(route.request.post_data_buffer)
        route.fulfill(status=200, body='{"error": "enough"}\n')

    page.route("**/api/imitate?*", answer)
    page.click("#record")
    page.wait_for_selector("#record[aria-pressed=true]")
    page.wait_for_selector("#says.wrong:text('enough')")  # The recording stopped automatically.
    assert page.locator("#record[aria-pressed=false]").count() == 1
    assert bodies[0][:4] == b"RIFF" and 20_000 < len(bodies[0]) < 10 * 48_000 * 3


def test_a_take_begins_before_the_sound_and_ends_after_silence(opened: Callable[..., Page]) -> None:
    page = opened()
    length, begin, done, nothing = page.evaluate(
        """async () => {
          const { SoundTake } = await import("/static/record.js");
          const take = new SoundTake(1000), silent = new SoundTake(1000);
          const block = (level) => new Float32Array(100).fill(level);
          const levels = [0, 0, 0, 0, 0, 0.5, 0.3, 0.2, ...Array(40).fill(0.001)];
          let at = 0;
          while (!take.done) take.add(block(levels[at++]));
          while (!silent.done) silent.add(block(0.001));
          const sound = take.sound();
          return [sound.length, sound.findIndex((x) => x), at, silent.sound()];
        }"""
    )
    assert (length, begin, nothing) == (250 + 300 + 700, 250, None) and done == 15


def test_the_browser_decodes_what_the_server_cannot(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened()
    kind = page.evaluate(
        """async () => {
          const { readable } = await import("/static/decode.js");
          const types = ["audio/mp4;codecs=opus", "audio/webm;codecs=opus"];
          const type = types.find((one) => MediaRecorder.isTypeSupported(one)), context = new AudioContext();
          const to = new MediaStreamAudioDestinationNode(context), tone = new OscillatorNode(context);
          tone.connect(to); tone.start();
          const recorder = new MediaRecorder(to.stream, { mimeType: type }), parts = [];
          recorder.ondataavailable = ({ data }) => parts.push(data);
          recorder.start();
          await new Promise((done) => setTimeout(done, 600));
          const stopped = new Promise((done) => { recorder.onstop = done; });
          recorder.stop();
          await stopped;
          const file = new File(parts, "take.m4a", { type }), given = new File(["RIFF...."], "a.wav");
          const made = await readable(file), same = (await readable(given)) === given;
          const send = (body) => fetch("/api/imitate?seconds=0.1", { method: "POST", body });
          const refused = await send(file), taken = await send(made);
          const bad = await readable(new File(["....ftypM4A broken"], "b.m4a")).catch((error) => error.message);
          return [type, same, refused.status, taken.status, bad];
        }"""
    )
    assert kind[1:4] == [True, 422, 200] and "neither the studio nor this browser" in kind[4], kind


def test_a_blind_test_from_start_to_file(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened("blind")
    page.wait_for_selector("#source-says:text('10 recordings')")
    assert page.input_value("#count") == "10"
    assert page.locator("#count option:disabled").all_inner_texts() == ["20", "40"]
    page.click("#start")
    for i in range(10):
        page.wait_for_selector(f"#trial-title:text('Sound {i + 1} of 10')")
        page.wait_for_selector("#real:not(:disabled)")
        page.wait_for_function(f"() => started.length > {i}")
        if i == 0:
            page.keyboard.press("Space")
            assert page.evaluate("() => started.length") == 2
        page.keyboard.press("rg"[i % 2])
    page.wait_for_selector("#result:not([hidden])")
    with page.expect_download() as waited:
        page.click("#save")
    waited.value.save_as(tmp_path / "result.json")
    result = json.loads((tmp_path / "result.json").read_text())
    assert page.inner_text("#score") == f"{result['correct']} of 10 right"
    low, high = (round(100 * result["interval"][end]) for end in ("low", "high"))
    assert re.search(rf"{low} % … {high} %", page.inner_text("#share"))
    assert ("does not show" in page.inner_text("#verdict")) == (
        result["interval"]["low"] <= 0.5 <= result["interval"]["high"]
    )
    assert page.locator("#answers li").count() == 10 and result["trials"][0]["plays"] == 2
    page.click("#again")
    page.wait_for_selector("#setup:not([hidden])")


def test_a_blind_test_with_chosen_files(opened: Callable[..., Page], recorded: Path) -> None:
    page = opened("blind")
    page.click("#remove")
    page.wait_for_selector("#source-says:text('No recordings yet')")
    assert page.locator("#start").is_disabled()
    (recorded / "notes.txt").write_text("no sound")
    page.set_input_files("#folder-input", recorded)
    page.wait_for_selector("#source-says:text('10 recordings')")
    assert page.locator("#start").is_enabled()
    page.click("#start")
    page.wait_for_selector("#real:not(:disabled)")
    page.click("#end")  # The test ends without an answer.
    page.wait_for_selector("#setup:not([hidden])")


@pytest.mark.parametrize("width", [320, 390, 1440])
def test_panels_and_pages_fit_and_have_names(opened: Callable[..., Page], width: int) -> None:
    size: dict[str, Any] = {
        "viewport": {"width": width, "height": 844},
        "has_touch": width < 400,
        "is_mobile": width < 400,
        "color_scheme": "dark" if width == 390 else "light",
    }
    page = opened(**size)
    for panel, ready in (("find", FOUND), ("map", ".point")):
        page.locator(f"#open-{panel}").click()
        page.wait_for_selector(ready)
        check(page, f"#panel-{panel}", width)
    blind = opened("blind", **size)
    check(blind, "main", width)
    blind.click("#start")
    blind.wait_for_selector("#real:not(:disabled)")
    check(blind, "main", width)
    blind.click("#real")
    blind.wait_for_selector("#trial-title:text('Sound 2')")
    blind.click("#end")
    blind.wait_for_selector("#result:not([hidden])")
    check(blind, "main", width)


def check(page: Page, root: str, width: int) -> None:
    """Check that the page is no wider than the screen, that controls have names, and those below ``root`` are large."""
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    controls = {"button", "slider", "combobox", "link", "progressbar", "img"}
    nodes = [node for node in tree if not node.get("ignored") and node.get("role", {}).get("value") in controls]
    assert [node["role"]["value"] for node in nodes if not node.get("name", {}).get("value", "").strip()] == []
    small = page.evaluate(
        """(root) => [...document.querySelectorAll(`${root} :is(button, select, input)`)]
          .filter((e) => e.getClientRects().length && !e.matches(".point"))
          .filter((e) => e.getBoundingClientRect().height < (matchMedia("(pointer: coarse)").matches ? 44 : 24))
          .map((e) => e.id || e.className)""",
        root,
    )
    assert small == []
    assert {name: ratio for name, ratio in page.evaluate(CONTRAST).items() if ratio < 4.5} == {}


@pytest.mark.skipif("AUDIOGAN_SCREENSHOTS" not in os.environ, reason="set AUDIOGAN_SCREENSHOTS=docs to make them anew")
def test_screenshots(opened: Callable[..., Page]) -> None:
    folder = Path(os.environ["AUDIOGAN_SCREENSHOTS"])
    page = opened(device_scale_factor=1.5)
    for panel, ready in (("find", FOUND), ("map", ".point.own")):
        page.click(f"#open-{panel}")
        page.wait_for_selector(ready)
        page.wait_for_timeout(6000)
        page.locator(f"#panel-{panel} :is(.found, .point:not(.own))").nth(2).click(force=True)
        page.wait_for_selector("#says:not(.shown)", state="attached")
        page.wait_for_timeout(600)
        page.locator(".editor").screenshot(path=folder / f"studio-{panel}.png")
    blind = opened("blind", device_scale_factor=1.25, viewport={"width": 760, "height": 640})
    blind.click("#start")
    for i in range(10):
        blind.wait_for_selector(f"#trial-title:text('Sound {i + 1} of')")
        blind.wait_for_selector("#real:not(:disabled)")
        blind.click("#generated" if i % 3 else "#real")
    blind.wait_for_selector("#result:not([hidden])")
    blind.wait_for_timeout(400)
    blind.screenshot(path=folder / "studio-blind.png")
