"""Fixtures of the tests of kits: the shipped drums model, and a kit of its sounds."""

from __future__ import annotations

import pytest

import audiogan
from audiogan import Generator
from audiogan.kits import Kit, make_kit
from audiogan.kits.rendering import Hit, render_hits


@pytest.fixture(scope="session")
def drums() -> Generator:
    return audiogan.load("drums")


@pytest.fixture(scope="session")
def kit(drums: Generator) -> Kit:
    return make_kit(drums, 16, seed=7, layers=3)


@pytest.fixture(scope="session")
def hits(drums: Generator, kit: Kit) -> list[list[Hit]]:
    """Return the rendered sounds of the kit at 48 kHz."""
    return render_hits(drums, kit, 48000)
