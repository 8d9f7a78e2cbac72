"""Helpers for tests of the pages of a studio in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audiogan.kits import Pad
from audiogan.kits.rendering import MEASUREMENT_RATE, balance_kit, measure_layer, place_layer, prepare_pads

if TYPE_CHECKING:
    import numpy as np
    from playwright.sync_api import Browser, BrowserContext, Page

    from audiogan import Generator, Recipe


def page_wave(generator: Generator, recipe: Recipe, **mix: float) -> np.ndarray:
    """Return the samples ``[C, T]`` that the page plays for a recipe with the level, pan and tune of a pad."""
    pad, rate = Pad("sound", 36, (recipe,), **mix), generator.sample_rate
    waves = generator.render(recipe)
    [[measured]] = prepare_pads(waves, [pad], rate, MEASUREMENT_RATE)
    [[wave]] = prepare_pads(waves, [pad], rate, rate)
    balance = balance_kit([pad], [[measure_layer(measured)]])
    return place_layer(wave, balance.pads[0][0], pad.pan, stereo=pad.pan != 0)


class Pages:
    """Pages of a studio in a browser. Their error messages and requests are recorded.

    Args:
        browser: the browser.
        address: address of the studio.
        script: run in each page before its own scripts.
        options: options of the pages, such as their size.
    """

    def __init__(self, browser: Browser, address: str, script: str, **options: Any) -> None:
        self.browser, self.address, self.script, self.options = browser, address, script, options
        self.contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        self.requested: list[str] = []

    def open(self, path: str, **options: Any) -> Page:
        """Open a page, and wait until it is ready."""
        context = self.browser.new_context(**{**self.options, **options})
        self.contexts.append(context)
        context.add_init_script(self.script)
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requested.append(request.url))
        page.goto(f"{self.address}/{path}")
        page.wait_for_selector("body[data-ready]", state="attached")
        return page

    def close(self, expected: str = "") -> None:
        """Close all pages. Fail if a page reported an error without the ``expected`` text, or sent a request to another
        machine."""
        for context in self.contexts:
            context.close()
        assert [text for text in self.complaints if not expected or expected not in text] == []
        assert [url for url in self.requested if not url.startswith((self.address, "blob:", "data:"))] == []
