"""Tests of the page Apply in a real browser: synchronous playback, spectrograms, microphone, download, and errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from studio_pages import Pages
from test_studio_apply import RATE, content, voice
from test_studio_find_page import check

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.studio.conftest import Served

# The script stores the sounds that are started, with their time and position.
EARS = """
window.started = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, from) {
  started.push({ when, from, buffer: this.buffer });
  return start.call(this, when, from);
};
"""
DONE = "#says:text('Done in')"
LEVELS = """() => {
  const levels = document.querySelectorAll("figure.full canvas");
  return [...levels].map((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += data[i];
    return [canvas.width > 100, sum / data.length];
  });
}"""
CHOICES = [{"value": "anna", "title": "anna"}, {"value": "ben_b", "title": "ben_b"}]
FIELDS: list[dict[str, Any]] = [
    {"name": "classes", "input": "classes", "kind": "choice", "about": "class: a name", "choices": CHOICES},
    {"name": "pitch", "input": "knobs", "kind": "number", "about": "0 to 1", "min": 0, "max": 1, "step": 0.01},
    {"name": "text", "input": "text", "kind": "text", "required": True, "longest": 40},
    {"name": "speed", "input": "speed", "kind": "number", "min": 0.5, "max": 2, "step": "any", "value": 1},
    {"name": "style", "input": "style", "kind": "value"},
    {"name": "voice", "input": "voice", "kind": "sound", "required": True, "about": "recording of a voice"},
    {"name": "seed", "input": None, "kind": "number", "min": 0, "max": 100, "step": 1},
]
FORM = {
    **{"id": "convert", "name": "convert", "about": "Changes the voice.", "source": "mel", "sample_rate": 16_000},
    **{"step": 100, "fields": [{"about": "", "required": False, **field} for field in FIELDS]},
}
STARTED = """() => started.map(({ when, from, buffer }) => (
  { when, from, rate: buffer.sampleRate, x: [...buffer.getChannelData(0)] }))"""
DROP = """(bytes) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([new Uint8Array(bytes)], "silent.wav"));
  dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
}"""


@pytest.fixture
def opened(browser: Browser, served: Served) -> Iterator[Callable[..., Page]]:
    pages = Pages(browser, served.address, EARS, viewport={"width": 1440, "height": 900})

    def go(path: str = "apply", **options: Any) -> Page:
        page = pages.open(path, **options)
        page.set_default_timeout(60_000)
        return page

    yield go
    pages.close(expected="422")  # The browser reports refused requests.


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sounds") / "my voice.wav"
    path.write_bytes(content(voice()))
    return path


def test_before_and_after(opened: Callable[..., Page], noisy: Path, tmp_path: Path) -> None:
    page = opened()
    assert page.input_value("#model-choice") == "enhance" and page.locator("#apply").is_disabled()
    page.set_input_files("#file-input", noisy)
    page.wait_for_selector(DONE)
    assert [bright and level > 5 for bright, level in page.evaluate(LEVELS)] == [True, True]
    assert page.locator("#switch [aria-pressed=true]").inner_text().endswith("After")

    page.locator("#play").click()
    page.wait_for_function("() => started.length === 2")
    page.keyboard.press("a")  # The switch does not interrupt the transport.
    page.wait_for_selector("#before.heard")
    before, after = page.evaluate(STARTED)
    assert (before["when"], before["from"]) == (after["when"], after["from"])
    assert len(before["x"]) == len(after["x"]) == RATE == before["rate"] == after["rate"]
    page.keyboard.press(" ")
    page.wait_for_selector("#play:has-text('Play')")
    page.locator("#position").fill("0.5")
    page.locator("#before .picture").click(position={"x": 30, "y": 40})
    assert 0 < float(page.input_value("#position")) < 0.2

    with page.expect_download() as waited:
        page.click("#save")
    waited.value.save_as(tmp_path / "out.wav")
    assert waited.value.suggested_filename == "my-voice-enhance.wav"
    saved, rate = soundfile.read(tmp_path / "out.wav")
    assert rate == RATE and np.abs(saved - after["x"]).max() < 2e-7  # 24 bits

    # A faulty file gives an error in one line, and the page still works.
    (tmp_path / "notes.wav").write_text("no sound")
    page.set_input_files("#file-input", tmp_path / "notes.wav")
    page.wait_for_selector("#says.wrong:text('not a sound file')")
    page.evaluate(DROP, list(content(np.zeros(RATE // 8), 8000)))
    page.wait_for_selector("#says.wrong:text('silent')")


def test_the_form_follows_the_inputs_of_the_model(opened: Callable[..., Page], noisy: Path) -> None:
    page = opened()
    asked: list[Any] = []

    def answer(route: Any) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(status=200, body='{"error": "enough"}\n')

    page.route("**/api/apply/models/vocoder", lambda route: route.fulfill(json=FORM))
    page.route("**/api/apply", answer)
    page.select_option("#model-choice", "vocoder")
    page.wait_for_selector("#about:text('Changes the voice')")
    page.set_input_files("#file-input", noisy)
    page.wait_for_selector("#before.full")
    assert page.locator("#apply").is_disabled() and asked == []  # The text and the voice are missing.
    page.fill("#field-text", "hello")
    page.fill("#field-speed", "1.2")
    assert page.input_value("#field-seed") == ""
    page.fill("#field-style", "calm")
    page.fill("#field-pitch", "0.25")
    page.fill("#field-seed", "7")
    page.select_option("#field-classes", "ben_b")
    page.set_input_files("#form input[type=file]", noisy)
    page.wait_for_selector("#field-voice:text('my voice.wav')")
    page.wait_for_selector("#apply:enabled")
    page.click("#apply")
    page.wait_for_selector("#says.wrong:text('enough')")
    (wanted,) = asked
    assert wanted["inputs"].pop("voice") != wanted["sound"]
    inputs = {"classes": "ben_b", "knobs": {"pitch": 0.25}, "text": "hello", "speed": 1.2, "style": "calm"}
    assert (wanted["inputs"], wanted["seed"], wanted["model"]) == (inputs, 7, "convert")


def test_the_microphone(opened: Callable[..., Page]) -> None:
    page = opened()
    page.click("#record")
    page.wait_for_selector("#record[aria-pressed=true]")
    page.wait_for_timeout(1300)  # The microphone of the test beeps each second.
    page.click("#record")
    page.wait_for_selector(DONE)
    assert "recording.wav" in page.inner_text("#source-says") and page.locator("figure.full").count() == 2


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_fits_and_is_accessible(opened: Callable[..., Page], noisy: Path, width: int) -> None:
    narrow = width < 900
    size: dict[str, Any] = {"viewport": {"width": width, "height": 844}, "has_touch": narrow, "is_mobile": narrow}
    page = opened(bypass_csp=True, color_scheme="dark" if narrow else "light", **size)
    check(page, "main", width)
    page.set_input_files("#file-input", noisy)
    page.wait_for_selector(DONE)
    check(page, "main", width)
    axe = pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("() => axe.run()")
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []


@pytest.mark.skipif("AUDIOGAN_SCREENSHOTS" not in os.environ, reason="set AUDIOGAN_SCREENSHOTS=docs to make them anew")
def test_screenshots(opened: Callable[..., Page], shared_data: Path, tmp_path: Path) -> None:
    folder = Path(os.environ["AUDIOGAN_SCREENSHOTS"])
    speech, rate = soundfile.read(shared_data / "speech" / "emodb" / "03a01Nc.flac", dtype="float32")
    noise = next((shared_data / "speech" / "noise").rglob("*.flac"), None) or next(
        (shared_data / "speech" / "noise").rglob("*.wav")
    )
    other, _ = soundfile.read(noise, dtype="float32", frames=len(speech), always_2d=True)
    other = np.resize(other[:, 0], len(speech))
    mixture = speech + other * speech.std() / other.std() * 10 ** (-5 / 20)
    soundfile.write(tmp_path / "noisy.wav", 0.8 * mixture / np.abs(mixture).max(), rate)
    page = opened(color_scheme="light")
    page.set_input_files("#file-input", tmp_path / "noisy.wav")
    page.wait_for_selector(DONE)
    page.locator("#after .picture").click()
    page.wait_for_timeout(400)
    # JPEG, because the noise in spectrograms makes PNG files large.
    page.screenshot(path=folder / "studio-apply.jpg", quality=80)
