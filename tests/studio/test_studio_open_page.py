"""Tests of opening and sharing kits in a real browser: files, drag and drop, and short links."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from studio_pages import Pages, page_wave

from audiogan.kits import Kit, make_kit
from audiogan.modalities.wav import encode_wav
from audiogan.model.recipe import Recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from audiogan import Generator
    from tests.studio.conftest import Served

READY = ".pads:not(:has(.waiting))"
STATE = """async () => {
  await new Promise((done) => setTimeout(done, 700));
  const { decode } = await import("/static/share.js");
  return decode(location.hash.slice(1), await (await fetch("/api/model")).json());
}"""
COPIED = """
window.copied = "";
Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => { window.copied = text; } } });
"""
DROP = """([name, bytes, at]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
  document.querySelector(at).dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
}"""


@pytest.fixture
def opened(browser: Browser, served: Served) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the studio."""
    pages = Pages(browser, served.address, COPIED, viewport={"width": 1440, "height": 1100})

    def go(fragment: str = "", **options: Any) -> Page:
        page = pages.open(fragment, **options)
        page.wait_for_selector(READY, timeout=60_000)
        return page

    yield go
    pages.close()


def recipe_of(pad: dict[str, Any]) -> Recipe:
    return Recipe.from_json(json.dumps(pad["recipe"]))


def says(page: Page, text: str) -> None:
    page.wait_for_selector(f"#says:text('{text}')", timeout=60_000)


def test_a_kit_saved_with_its_patterns_opens_as_it_was(
    opened: Callable[..., Page], drums: Generator, tmp_path: Path
) -> None:
    page = opened()
    page.keyboard.press("Shift+KeyQ")
    page.locator("#tempo").fill("97")
    page.locator("#tempo").press("Enter")
    page.locator("#pad-level").fill("-6")
    page.locator("#pad-pan").fill("0.5")
    before = page.evaluate(STATE)
    assert (before["pads"][0]["level"], before["pads"][0]["pan"], before["tempo"]) == (-6, 0.5, 97)
    page.select_option("#format", "json")
    with page.expect_download() as waited:
        page.click("#save-kit")
    waited.value.save_as(tmp_path / "kit.json")
    kit = Kit.from_json((tmp_path / "kit.json").read_text())
    assert [pad.layers[0] for pad in kit.pads] == [recipe_of(pad) for pad in before["pads"]]

    other = opened()
    assert other.evaluate(STATE)["pads"] != before["pads"]
    other.set_input_files("#open-input", tmp_path / "kit.json")
    says(other, "kit.json is open")
    assert other.evaluate(STATE) == before
    other.click("#undo")
    assert other.evaluate(STATE)["pads"] != before["pads"]

    layered = make_kit(drums, 5, seed=2, layers=3)
    other.evaluate(DROP, ["mine.json", list(layered.to_json().encode()), "#grid"])
    says(other, "the kit has 5 pads; the others are new sounds")
    assert other.input_value("#layers") == "3" and other.input_value("#tempo") == "112"
    found = [recipe_of(pad) for pad in other.evaluate(STATE)["pads"]]
    assert {pad.layers[-1].latent for pad in layered.pads} <= {recipe.latent for recipe in found}


def test_sounds_with_their_recipe_and_other_files_are_dropped(opened: Callable[..., Page], drums: Generator) -> None:
    page = opened()
    (recipe,) = drums.recipes(1, seed=8, label="clap")
    wave = list(encode_wav(drums.render(recipe)[0], 16000, "PCM_16", recipe.to_json()))
    page.evaluate(DROP, ["any name.wav", wave, ".pad:nth-child(7)"])
    says(page, "any name.wav is on pad 7")
    assert recipe_of(page.evaluate(STATE)["pads"][6]) == recipe
    page.evaluate(DROP, ["no recipe.wav", list(encode_wav(drums.render(recipe)[0], 16000)), "#grid"])
    says(page, "has no recipe; drop it on a pad to imitate it")
    assert page_wave(drums, recipe).shape[0] == 1 and np.isfinite(page_wave(drums, recipe)).all()


def test_links_are_short_and_exact_while_few_sounds_are_changed(opened: Callable[..., Page]) -> None:
    page = opened()
    page.click("#pad-2")
    page.locator("#knob-decay").fill("37")
    page.click("#vary")
    page.wait_for_selector(READY, timeout=60_000)
    before = page.evaluate(STATE)
    page.click("#share")
    says(page, "Link copied")
    link = page.evaluate("() => copied")
    assert len(link) < 2000 and "rounded" not in page.inner_text("#says")
    other = opened(link[link.index("#") :])
    assert other.evaluate(STATE) == before

    made = page.evaluate(
        """async () => { // all sounds from elsewhere
          const { shortLink } = await import("/static/short.js");
          const { decode } = await import("/static/share.js");
          const model = await (await fetch("/api/model")).json();
          const state = await decode(location.hash.slice(1), model);
          const { sounds } = await import("/static/api.js");
          const recipes = await sounds({ n: 16, seed: 99 });
          const strange = { ...state, pads: state.pads.map((pad, i) => ({ ...pad, recipe: recipes[i], from: null })) };
          const { address, approximate } = await shortLink(strange, model, "http://127.0.0.1:8642/");
          return [strange, await decode(address.split("#")[1], model), address.length, approximate];
        }"""
    )
    strange, again, length, approximate = made
    assert length <= 2000 and approximate == 16
    for given, found in zip(strange["pads"], again["pads"], strict=True):
        a, b = recipe_of(given), recipe_of(found)
        assert np.abs(np.array(a.latent) - b.latent).max() < 0.06 and a.classes == b.classes
        assert all(abs(a.knobs[name] - b.knobs[name]) < 0.006 for name in a.knobs)


def test_damaged_short_links_are_named(opened: Callable[..., Page]) -> None:
    page = opened()
    before = page.evaluate(STATE)
    found = page.evaluate(
        """async () => {
          const { pack, decode } = await import("/static/share.js");
          const model = await (await fetch("/api/model")).json();
          const head = [model.name, model.fingerprint, 100, 50, "0".repeat(256)], says = [];
          const pads = Array.from({ length: 16 }, (_, i) => [0, i]), rest = pads.slice(1);
          const changes = [{ 3: [99, 1, 1, ""] }, { 3: 7 }, { 3: [5, 64, 1, "?"], 8: 99 }];
          const first = [null, [1, 0], [0, 99], ...changes.map((change) => [0, 0, change])];
          const wrong = [[], [[1], "x"], [[-1], pads], [["1"], pads], [[1], rest], [Array(50).fill(1), pads]];
          for (const one of first) wrong.push([[1], [one, ...rest]]);
          for (const content of [...wrong, [[1], pads]]) {
            const link = `2.${await pack([...head, ...content])}`;
            says.push(await decode(link, model).then(() => "", (error) => error.message));
          }
          return says;
        }"""
    )
    assert found[-1] == "" and all("damaged" in line for line in found[:-1]), found
    assert page.evaluate(STATE) == before
