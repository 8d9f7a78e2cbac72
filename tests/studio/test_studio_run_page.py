"""Tests of the page of a run in a real browser (the system's Chromium): growing logs, previews, the end and deletion of
a run."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from studio_pages import Pages

from audiogan.modalities.sound import write_preview
from audiogan.monitors.finding import VERDICT, Finding, read_findings, write_findings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from audiogan import Generator


RATE, LENGTH = 16000, 1600
# The script stores all sounds that are started.
EAR = """
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...when) {
  const { buffer, context } = this;
  if (context instanceof AudioContext) played.push({ rate: buffer.sampleRate, samples: [...buffer.getChannelData(0)] });
  return start.apply(this, when);
};
"""


@pytest.fixture(scope="module")
def place(drums: Generator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Return the address of a studio, and the folder whose runs it lists."""
    import uvicorn

    from audiogan.studio import create_app

    root = tmp_path_factory.mktemp("watched") / "runs"
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(drums, runs_dir=root), log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", root
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def run(place: tuple[str, Path]) -> Iterator[Path]:
    """Return a run in training, with ten lines in its log and two previews."""
    folder = place[1] / "kicks"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("trainer:\n  steps: 1000\n")
    (folder / "run.json").write_text('{"status": "running"}')
    log(folder, *range(10, 110, 10))
    preview(folder, 50)
    preview(folder, 100)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def log(run: Path, *steps: int) -> None:
    with open(run / "metrics.jsonl", "a") as file:
        for step in steps:
            row = {"step": step, "seconds": step / 2, "examples_per_second": 64.0}
            row |= {f"{player}/loss": np.sin(step / 50) + i for i, player in enumerate(("critic", "generator"))}
            file.write(json.dumps(row | {"monitor/diversity/logmel@64": step / 1000}) + "\n")


def preview(run: Path, step: int) -> None:
    waves = np.random.default_rng(step).uniform(-0.5, 0.5, (4, 1, LENGTH)).astype(np.float32)
    write_preview(
        run, step, waves * np.linspace(1, 0, LENGTH, dtype=np.float32), RATE, ["kick", "snare", "kick", "tom"]
    )


def sound(run: Path, step: int, number: int) -> np.ndarray:
    """Return a sound of a preview, read from its file."""
    samples, _ = soundfile.read(run / "previews" / f"step-{step:08d}.wav", dtype="float32")
    start = number * (LENGTH + RATE // 4)
    return samples[start : start + LENGTH]


@pytest.fixture
def opened(browser: Browser, place: tuple[str, Path]) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the page."""
    pages = Pages(browser, place[0], EAR, viewport={"width": 1280, "height": 700})
    yield partial(pages.open, "run")
    pages.close(expected="404")  # The browser reports the request for a deleted run.


def hears(page: Page, at: int, wave: np.ndarray) -> bool:
    """Return whether the played sound with this index equals a given sound, sample by sample."""
    page.wait_for_function(f"() => played.length > {at}")
    played = page.evaluate(f"() => played[{at}]")
    samples = np.array(played["samples"], np.float32)
    return played["rate"] == RATE and samples.shape == wave.shape and np.abs(samples - wave).max() < 2**-14


def test_curves_follow_the_log_in_place(opened: Callable[..., Page], run: Path) -> None:
    page = opened()
    assert page.inner_text("#name") == "kicks" and page.inner_text("#state") == "training"
    facts = page.inner_text("#facts").split("\n")
    assert {"100of 1,000", "10 %", "120", "64"} <= {fact.replace(" of", "of") for fact in facts}
    losses = page.locator("figure.plot", has_text="losses")
    assert losses.locator("path.mean").count() == 2
    assert page.locator("h3").all_inner_texts() == ["Training", "Monitors"]
    page.evaluate("() => { scrollTo(0, 200); document.querySelector('figure.plot').own = 1; }")
    before = losses.locator("path.mean").first.get_attribute("d")
    log(run, 110, 120)
    page.wait_for_selector("#facts b:text-is('120')")
    page.wait_for_function(
        "old => document.querySelector('figure.plot path.mean').getAttribute('d') !== old", arg=before
    )
    assert f"{np.sin(120 / 50):.4g}" in losses.inner_text()
    assert page.evaluate("() => [scrollY, document.querySelector('figure.plot').own]") == [200, 1]

    svg = losses.locator("svg")
    box = svg.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * (48 + (412 - 48) * 50 / 120) / 420, box["y"] + 40)
    assert "step 50" in losses.inner_text() and f"{np.sin(1):.4g}" in losses.inner_text()
    log(run, 130)  # The cursor does not move.
    page.wait_for_selector("#facts b:text-is('130')")
    assert "step 50" in losses.inner_text()


def test_each_sound_of_each_preview_can_be_heard(opened: Callable[..., Page], run: Path) -> None:
    page = opened()
    tiles = page.locator("#sounds .hit")
    assert tiles.all_inner_texts() == ["kick", "snare", "kick", "tom"]
    page.wait_for_function("() => document.querySelector('#sounds path').getAttribute('d')")
    tiles.nth(1).click()
    assert hears(page, 0, sound(run, 100, 1))
    page.focus("#step")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#step", "aria-valuetext") == "step 50"
    tiles.nth(3).press("Enter")
    assert hears(page, 1, sound(run, 50, 3))
    page.click("#play-all")
    assert all(hears(page, 2 + i, sound(run, 50, i)) for i in range(4))
    assert page.get_attribute("#sheet", "src") is None
    page.click("summary")
    page.wait_for_selector("#sheet:not([hidden])")
    assert page.evaluate("() => document.querySelector('#sheet').naturalWidth") > 100


def test_a_sound_grows_from_the_first_preview_to_the_newest(opened: Callable[..., Page], run: Path) -> None:
    page = opened()
    page.locator("#sounds .hit").nth(2).click()
    assert hears(page, 0, sound(run, 100, 2))
    page.click("#grow")
    assert hears(page, 1, sound(run, 50, 2)) and hears(page, 2, sound(run, 100, 2))
    assert page.inner_text("#step-label") == "step 100"
    page.wait_for_selector("#grow[aria-pressed=false]")


def test_previews_are_heard_as_they_come(opened: Callable[..., Page], run: Path) -> None:
    page = opened()
    preview(run, 150)  # The preview is shown but not played.
    page.wait_for_selector("#step-label:text-is('step 150')")
    assert page.evaluate("() => played.length") == 0
    page.click("#live")
    preview(run, 200)
    assert all(hears(page, i, sound(run, 200, i)) for i in range(4))
    page.focus("#step")
    page.keyboard.press("Home")  # An old preview stays selected.
    preview(run, 250)
    page.wait_for_selector("#says:has-text('step 250')")
    assert page.inner_text("#step-label") == "step 50" and page.get_attribute("#step", "max") == "4"
    page.click("#newest")
    assert page.inner_text("#step-label") == "step 250"


def test_a_finding_appears_when_it_is_written(opened: Callable[..., Page], run: Path) -> None:
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    assert page.locator(".finding").count() == 0 and "None yet" in page.inner_text("#findings-hint")
    one = Finding("mode collapse", 90, "warning", "all is <i>alike</i>", "try more", "lr.critic=0.0001 lr.generator=1")
    write_findings(run / "findings.jsonl", [one])
    page.wait_for_selector(".finding")
    said = page.inner_text(".finding")
    for part in ("warning", "mode collapse", "step 90", "<i>alike</i>", "Try try more", one.override):
        assert part in said
    assert page.inner_text("#says") == "New warning: mode collapse"
    page.click(".finding button")
    page.wait_for_selector("#says:has-text('Copied')")
    assert page.evaluate("() => navigator.clipboard.readText()") == one.override
    write_findings(run / "findings.jsonl", [one, Finding("verdict", 100, "failure", "it collapsed")])
    (run / "run.json").write_text('{"status": "finished"}')
    page.wait_for_selector("#state:text-is('finished')")
    assert [text.split("\n")[0] for text in page.locator(".finding").all_inner_texts()] == ["verdict", "warning"]
    assert page.locator("#live").is_hidden()


def test_a_run_that_goes_is_said_to_be_gone_and_is_shown_when_it_is_back(
    opened: Callable[..., Page], run: Path, tmp_path: Path
) -> None:
    page = opened()
    shutil.move(run, tmp_path / "kicks")
    page.wait_for_selector("#state:text-is('gone')")
    assert "deleted" in page.inner_text("#notice") and page.locator("figure.plot").count() > 0
    shutil.move(tmp_path / "kicks", run)
    page.wait_for_selector("#state:text-is('training')")
    page.wait_for_selector("#notice", state="hidden")


def test_without_a_run_the_page_waits_for_one(browser: Browser, place: tuple[str, Path]) -> None:
    page = browser.new_page()
    page.goto(f"{place[0]}/run")
    page.wait_for_selector("#none:has-text('audiogan train drums')")
    folder = place[1] / "new"
    folder.mkdir(parents=True)
    (folder / ".lock").touch()
    page.wait_for_selector("#state:text-is('getting ready')")
    assert "Nothing is logged yet" in page.inner_text("#curves-hint")
    page.close()
    shutil.rmtree(folder)


def test_nothing_is_asked_while_nobody_looks(opened: Callable[..., Page], run: Path) -> None:
    page = opened()
    page.evaluate(
        """() => {
          Object.defineProperty(document, "hidden", { get: () => window.away, configurable: true });
          window.away = true;
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    log(run, 110)
    page.wait_for_timeout(2600)
    assert asked == []
    page.evaluate("() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')); }")
    page.wait_for_selector("#facts b:text-is('110')")


def test_pictures_are_shown_of_runs_that_make_no_sounds(opened: Callable[..., Page], run: Path) -> None:
    for wav in (run / "previews").glob("*.wav"):
        wav.unlink()
    page = opened()
    page.wait_for_selector("#sheet:not([hidden])")
    assert "step-00000100.png" in (page.get_attribute("#sheet", "src") or "")
    for control in ("#grow", "#play-all", "#sounds", "#sheet-fold"):
        assert page.locator(control).is_hidden()
    page.focus("#step")
    page.keyboard.press("Home")
    page.wait_for_function("() => document.querySelector('#sheet').src.includes('step-00000050.png')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_used_by_keyboard_and_on_a_phone(opened: Callable[..., Page], run: Path, scheme: str) -> None:
    override = Finding("explosion", 90, "failure", "it burst", "", "lr=1")
    write_findings(run / "findings.jsonl", [override])
    page = opened(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.wait_for_selector(".finding")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(15, 17, 21)"
    assert dark == (scheme == "dark")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, a, summary, [tabindex='0']")]
          .filter((node) => !["aria-label", "aria-labelledby"].some((name) => node.getAttribute(name)))
          .filter((node) => !node.innerText.trim()).map((node) => node.outerHTML)"""
    )
    assert nameless == []
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.id || document.activeElement.className"))
    assert {"theme", "grow", "live", "play-all", "step", "hit", "findings", "icon", "plot"} <= reached
    figure = page.locator("figure.plot").first
    figure.focus()
    page.keyboard.press("Home")
    assert "step 10\n" in figure.inner_text() + "\n"
    page.keyboard.press("ArrowRight")
    assert "step 20" in figure.inner_text()
    page.keyboard.press("Escape")
    assert "step" not in figure.locator(".at").inner_text()


@pytest.mark.skipif("AUDIOGAN_SCREENSHOTS" not in os.environ, reason="set AUDIOGAN_SCREENSHOTS=docs to make them anew")
def test_screenshot_of_a_run(browser: Browser, drums: Generator, place: tuple[str, Path]) -> None:
    """The run folder is AUDIOGAN_SCREENSHOT_RUN. It is shown as if it were still in training."""
    source = Path(os.environ["AUDIOGAN_SCREENSHOT_RUN"])
    folder = place[1] / "drums"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("checkpoints", "tensorboard"))
    (folder / "run.json").write_text('{"status": "running"}')
    found = [one for one in read_findings(source / "findings.jsonl") if one.kind != VERDICT]
    write_findings(folder / "findings.jsonl", found)
    os.utime(folder / "metrics.jsonl", (time.time(),) * 2)
    context = browser.new_context(viewport={"width": 1360, "height": 1200}, device_scale_factor=1.5)
    page = context.new_page()
    page.goto(f"{place[0]}/run")
    page.wait_for_function("() => document.querySelector('#sounds path')?.getAttribute('d')")
    page.wait_for_timeout(1000)
    page.screenshot(path=Path(os.environ["AUDIOGAN_SCREENSHOTS"]) / "studio-run.png")
    context.close()
    shutil.rmtree(folder)
