"""The shipped drums, and a kit of them."""

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
    """The kit at 48 kHz."""
    return render_hits(drums, kit, 48000)
