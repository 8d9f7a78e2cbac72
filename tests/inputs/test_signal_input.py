"""Tests of the signal input: files and arrays of users, and recipes that contain only a digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiogan.data.columns import Signals
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.inputs import Seeded, Signal
from audiogan.inputs.signal import MaskSignal, hash_tensors
from audiogan.modalities import Image, Sound
from audiogan.representations import ComplexSTFT, SoundFormat


def picture(**options: Any) -> Signal:
    return Signal(shape=(1, 4, 6), modality=Image(), **options)


def test_arrays_and_files(tmp_path: Path) -> None:
    x = (torch.arange(24.0).reshape(1, 4, 6) / 12 - 1).numpy()
    assert torch.equal(picture().parse(x), torch.from_numpy(x))
    Image().save(tmp_path / "a.png", x, "")
    read = picture().parse(tmp_path / "a.png")
    assert read.shape == (1, 4, 6) and float((read - torch.from_numpy(x)).abs().max()) < 1 / 100
    assert torch.equal(picture().parse(str(tmp_path / "a.png")), read)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.zeros((1, 4, 7), np.float32), r"source: expected shape \[1, 4, 6\], got \[1, 4, 7\]; `audiogan apply`"),
        (np.full((1, 4, 6), np.nan, np.float32), "source: "),
        ("missing.png", "source: missing.png: cannot be read"),
        (None, "source: a NoneType"),
        (np.zeros((1, 1, 4, 6), np.float32), "source: "),
    ],
)
def test_values_that_do_not_fit_are_one_line(value: Any, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        picture().parse(value)
    assert "\n" not in str(caught.value)


def test_other_sizes_only_where_they_are_accepted() -> None:
    wide = np.zeros((1, 8, 6), np.float32)
    assert picture().parse(wide, any_size=True).shape == (1, 8, 6)
    colour = Signal(shape=(3, 4, 6), modality=Image()).parse(wide, any_size=True)
    assert colour.shape[0] in (1, 3)
    open_length = Signal(shape=(1, None), modality=Sound(8000))
    assert open_length.parse(np.zeros((1, 99), np.float32)).shape == (1, 99)
    assert open_length.example_values(2).shape == (2, 1, 1024) and "any" in open_length.describe()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 99))
def test_a_recipe_holds_a_digest_and_no_signal(seed: int) -> None:
    x = torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(seed))
    stored = picture().to_json(x)
    assert set(stored) == {"sha256", "shape"} and stored["shape"] == [1, 4, 6] and len(stored["sha256"]) == 64
    assert stored == picture().to_json(x.clone()) != picture().to_json(x + 1e-3)
    for foreign in (stored, "/etc/passwd", None):
        with pytest.raises(UserError, match=r"^source: [^\n]*SHA-256[^\n]*inputs=\{'source': FILE\}$"):
            picture().from_json(foreign)


def test_it_cannot_be_drawn_and_comes_from_the_batch() -> None:
    source, x = picture(), torch.randn(3, 1, 4, 6)
    assert not source.drawable
    with pytest.raises(UserError, match="the input 'source' cannot be drawn; give a value"):
        source.draw(3, Seeded(0))
    assert torch.equal(source.draw(3, Seeded(0), x[0]), x[:1].expand(3, 1, 4, 6))
    assert torch.equal(source.from_batch(source.to_batch(x), Seeded(0)), x)
    with pytest.raises(UserError, match=r"inputs.source: the data has no column 'source'; it has x"):
        source.from_batch({"x": x}, Seeded(0))
    assert torch.equal(source.from_exported(source.to_exported(x)), x)
    assert source.captions(x) is None and source.kind_indices(x) is None and source.balanced_values(3) is None


def test_networks_may_receive_a_representation() -> None:
    stft = ComplexSTFT(SoundFormat(512))
    sound = Signal(shape=(1, 512), modality=Sound(8000), representation=stft)
    x = torch.randn(2, 1, 512)
    assert torch.equal(sound.encode(x), stft.encode(x)) and torch.equal(picture().encode(x), x)


def test_morphs() -> None:
    a, b = torch.zeros(1, 4, 6), torch.ones(1, 4, 6)
    assert torch.equal(picture().mix(a, b, 0.25), torch.full((1, 4, 6), 0.25))
    with pytest.raises(UserError, match=r"source: signals of shapes \[1, 4, 6\] and \[1, 4, 3\] cannot be mixed"):
        picture().mix(a, b[..., :3], 0.5)


def test_facts_about_the_data() -> None:
    stored = np.zeros((2, 1, 4, 6), np.float32)
    data = Table({"x": Signals(stored, Image()), "sketch": Signals(stored, Image())}, 2)
    facts = Signal.data_facts(data, column="sketch")
    assert facts["shape"] == [1, 4, 6] and facts["size"] == 1
    assert facts["modality"]["_target_"] == "audiogan.modalities.Image"
    assert Signal.data_facts(None).keys() == facts.keys()
    with pytest.raises(UserError, match="the data has no column 'source'; it has x, sketch: memory"):
        Signal.data_facts(data)
    with pytest.raises(ValueError, match="source: the data has no column 'source'"):
        Signal()


def test_digests_of_values() -> None:
    one = {"a": torch.zeros(2), "b": torch.ones(2)}
    assert hash_tensors(one) == hash_tensors(dict(reversed(one.items()))) != hash_tensors({**one, "a": torch.ones(2)})


def test_masks_are_drawn_in_black_and_white() -> None:
    mask = MaskSignal("mask", (1, 2, 2), Image())
    x = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]])
    assert torch.equal(mask.to_display(x), 2 * x - 1) and np.array_equal(mask.to_display(x.numpy()), 2 * x.numpy() - 1)
    assert picture().to_display(x) is x
