"""Tests of invalid inputs, columns and pairs: one line that names the key, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from audiogan.cli import main
from audiogan.data.columns import Labels, Signals, Values
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.games import Generative
from audiogan.representations import Identity
from audiogan.run.config import compose
from audiogan.run.facts import resolve_facts
from audiogan.run.training import build_game, open_data

Captured = pytest.CaptureFixture[str]
COMMON = ("trainer.steps=1", "callbacks.previews=null", "data.holdout=0", "engine.threads=1")
PAIRS = ("pix2pix", *COMMON, "data.size=16", "width=4", "batch_size=2", "game.critic.layers=1", "run_dir=run")
DOMAINS = ("cyclegan", *COMMON, "data.size=24", "width=4", "blocks=1", "run_dir=run")
DIGITS = ("handwriting", *COMMON, "data.root=digits", "network=mlp", "widths=[8]", "run_dir=run")


def pictures(folder: str, count: int = 6, size: int = 16) -> None:
    """Write random pictures, different in each folder."""
    Path(folder).mkdir(parents=True)
    rng = np.random.default_rng(list(folder.encode()))
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, (size, size, 3), dtype=np.uint8)).save(Path(folder) / f"{i}.png")


pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def pairs() -> str:
    pictures("pairs/a")
    pictures("pairs/b")
    return "data.root=pairs"


def refused(capsys: Captured, *arguments: str) -> str:
    """Return the single line that `train` prints. Check that no run was started."""
    capsys.readouterr()
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("audiogan: ") and "\n" not in error
    assert not Path("run").exists()
    return error


# Pairs and domains.


@pytest.mark.parametrize(
    ("folders", "settings", "words"),
    [
        ({"data": 16}, (), ["no folders a and b", "it has no folders", "data.layout=side-by-side"]),
        ({"data/a": 16}, (), ["no folders a and b", "it has the folders a;"]),
        ({"data/x": 16, "data/y": 16}, ("data.a=x", "data.b=z"), ["data.b=z", "it has the folders x, y"]),
        ({"data/x": 16, "data/y": 16}, ("data.a=x",), ["data.a and data.b must be set together"]),
        ({"data/a": 16, "data/b": 20}, ("data.size=null",), ["12 different size", "16x16 and 20x20", "data.size"]),
        ({"data/a": 16, "data/b": 16}, ("data.pairs=no.csv",), ["data.pairs=no.csv", "no such file"]),
        ({"data/a": 16, "data/b": 16}, ("data.layout=rows",), ["data.layout='rows'", "side-by-side"]),
    ],
)
def test_a_folder_without_pairs(
    folders: dict[str, int], settings: tuple[str, ...], words: list[str], capsys: Captured
) -> None:
    for folder, size in folders.items():
        pictures(folder, size=size)
    error = refused(capsys, *PAIRS, "data.root=data", *settings)
    assert all(word in error for word in words), error


def test_pictures_without_a_partner_are_named(capsys: Captured) -> None:
    pictures("data/a", 6)
    pictures("data/b", 5)
    assert main(["train", *PAIRS, "data.root=data"]) == 0
    said = capsys.readouterr().out
    assert "5 pairs" in said and "a/5.png (no file of this name in b)" in said
    for i in range(5):
        Path(f"data/b/{i}.png").rename(f"data/b/other{i}.png")
    assert main(["train", *PAIRS, "data.root=data", "run_dir=other"]) == 2
    assert "no usable pair" in (error := capsys.readouterr().err) and "11 no partner" in error


@pytest.mark.parametrize("names", ["x", "xyz"])
def test_two_domains_are_needed(names: str, capsys: Captured) -> None:
    for name in names:
        pictures(f"data/{name}")
    error = refused(capsys, *DOMAINS, "data.root=data")
    assert f"needs two folders of images, found {len(names)}: {', '.join(names)}" in error
    assert "data.b=q: no folder of images" in refused(capsys, *DOMAINS, "data.root=data", "data.a=x", "data.b=q")


def test_two_of_three_domains_and_pictures_of_two_sizes(capsys: Captured) -> None:
    for name, size in (("x", 24), ("y", 30), ("z", 24)):
        pictures(f"data/{name}", size=size)
    assert main(["train", *DOMAINS, "data.root=data", "data.a=x", "data.b=y"]) == 0
    assert "12 colour images of 24x24" in capsys.readouterr().out


def test_relative_lists_of_pairs_are_kept_by_their_full_path(pairs: str, here: Path) -> None:
    Path("pairs.csv").write_text("source,target\na/0.png,b/0.png\n")
    assert compose("pix2pix", [pairs, "data.pairs=pairs.csv"]).data.pairs == str(here / "pairs.csv")


# Inputs.


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["inputs.source.column=no"], ["no column 'no'", "it has source, x"]),
        (["inputs.source=3"], ["inputs.source=3", "section with _target_"]),
        (["inputs.source._target_=null"], ["inputs.source._target_=None", "an input of audiogan.inputs"]),
        (["inputs.source._target_=audiogan.losses.L1"], ["not allowed", "an input of audiogan.inputs"]),
        (["+inputs.source.sise=3"], ["inputs.source.sise: ", "known are"]),
        (["inputs=3"], ["inputs must be a section"]),
        (["inputs.source=null"], ["facts.inputs has no 'source'", "has classes, knobs", "inputs.source"]),
        (["inputs.source=null", "game.generator.source=[3,16,16]"], ["facts.inputs has no 'source'"]),
        (["+inputs.text={_target_: audiogan.inputs.Text}"], ["no column 'text'", "it has source, x"]),
        (["+inputs.text={_target_: audiogan.inputs.Text, column: x}"], ["column 'x'", "holds no texts"]),
        (["+inputs.z={_target_: audiogan.inputs.Latent, shape: big}"], ["inputs.z.shape='big'", "whole number"]),
    ],
)
def test_an_input_that_cannot_be_built(settings: list[str], words: list[str], pairs: str, capsys: Captured) -> None:
    error = refused(capsys, *PAIRS, pairs, *settings)
    assert all(word in error for word in words), error


def test_a_generator_takes_an_input_that_is_not_configured(pairs: str, capsys: Captured) -> None:
    shapes = ("game.generator.source=[3,16,16]", "game.critic.source=[3,16,16]")
    error = refused(capsys, *PAIRS, pairs, "inputs.source=null", *shapes)
    assert "UNet takes source, but source is not among the inputs of this game: none" in error

    class Both(nn.Linear):
        takes = frozenset({"latent", "text"})
        latent_dim = 4

    with pytest.raises(ValueError, match=r"Both takes latent, text, but text is not .* of this game: latent; add it"):
        Generative(Both(4, 2), Identity((2,)))


@pytest.mark.parametrize("name", ["x", "labels", "shape", "random", "n", "keys", "my-input"])
def test_names_that_no_input_can_have(name: str, pairs: str, capsys: Captured) -> None:
    error = refused(capsys, *PAIRS, pairs, f"+inputs.{name}={{_target_: audiogan.inputs.Latent}}")
    assert f"inputs.{name}: the name of an input must be a word, not x, labels" in error


@pytest.mark.parametrize(
    "section", ["inputs: {source: {column: '${facts.modality}'}}", "data: {size: '${facts.knobs}'}"]
)
def test_inputs_and_data_cannot_refer_to_facts(section: str, pairs: str, capsys: Captured) -> None:
    Path("mine.yaml").write_text(f"defaults: [pix2pix, _self_]\n{section}\n")
    error = refused(capsys, "mine.yaml", pairs, "run_dir=run")
    assert f"mine.yaml: {section.partition(':')[0]} cannot refer to facts" in error


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["classes=7"], ["classes=7", "10 labels", "classes=auto"]),
        (["classes=some"], ["classes='some'", "10 labels"]),
        (["classes=1.5"], ["classes=1.5", "whole number"]),
        (["inputs.classes.column=no"], ["no column 'no'", "it has x, label"]),
        (["inputs.classes.column=x"], ["column 'x'", "holds no labels"]),
        (["inputs.knobs.column=label"], ["column 'label'", "holds no numbers with names"]),
        (["+knobs=[brightness]"], ["knobs=['brightness'] has no effect", "network=tonenoise"]),
        (["+voice=true"], ["voice=True has no effect", "measure pitch"]),
        (
            ["+data.columns.knobs={_target_: audiogan.data.measures.KnobValues, names: [brightness]}"],
            ["brightness", "measured on sounds", "images of 8x8"],
        ),
    ],
)
def test_classes_and_knobs_that_the_data_does_not_have(settings: list[str], words: list[str], capsys: Captured) -> None:
    error = refused(capsys, *DIGITS, *settings)
    assert all(word in error for word in words), error


def test_labels_are_not_used_where_classes_is_0(capsys: Captured) -> None:
    from audiogan import load

    assert main(["train", *DIGITS, "classes=0"]) == 0
    assert "10 classes" in capsys.readouterr().out and set(load("run").inputs) == {"latent"}


# Columns.


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["+data.columns=3"], ["data.columns=3", "must be a section"]),
        (["+data.columns=[1]"], ["data.columns=[1]", "must be a section"]),
        (["+data.columns.y=3"], ["data.columns.y=3", "section with _target_"]),
        (["+data.columns.x.sise=3"], ["data.columns.x=", "section with _target_"]),
        (["+data.columns.x={_target_: os.system}"], ["'os.system' is not allowed", "a column of audiogan.data"]),
        (["+data.columns.x={_target_: audiogan.data.degrade.Grey}"], ["'x' cannot be computed from itself"]),
        (["+data.columns.y={_target_: audiogan.data.degrade.Grey, input: q}"], ["no column 'q'", "it has source, x"]),
        (["+data.columns.y={_target_: audiogan.data.degrade.Grey, off: q}"], ["data.columns.y.off: ", "known are"]),
        (["+data.columns.y={_target_: audiogan.data.degrade.Gray}"], ["does not exist"]),
        (["+data.groups=speaker", "data.holdout=0.2"], ["no column 'speaker'", "it has source, x"]),
    ],
)
def test_a_column_that_cannot_be_added(settings: list[str], words: list[str], pairs: str, capsys: Captured) -> None:
    error = refused(capsys, *PAIRS, pairs, *settings)
    assert all(word in error for word in words), error


def test_columns_of_a_table_have_as_many_rows_as_the_table() -> None:
    signals = Signals(np.zeros((8, 2), np.float32))
    with pytest.raises(UserError, match="column 'source' has 7 rows; the data has 8"):
        Table({"x": signals, "source": Signals(np.zeros((7, 2), np.float32))}, 8)
    table = Table({"x": signals}, 8)
    with pytest.raises(UserError, match="column 'label' has 3 rows"):
        table.with_column("label", Labels(np.zeros(3, np.int64), ["a"]))
    part = table.take([0, 2]).with_column("label", Labels(np.zeros(3, np.int64), ["a"]))
    assert part.batch([1])["label"].tolist() == [0]
    assert set(table.with_column("y", Values(np.zeros((9, 1)))).columns) == {"x", "y"}


# Columns of measured values.


@pytest.mark.parametrize(
    ("settings", "columns"),
    [
        ([], {"x", "label", "knobs"}),
        (["knobs=[]"], {"x", "label"}),
        (["data.columns.knobs=null"], {"x", "label"}),
        (["voice=true"], {"x", "label", "knobs", "pitch"}),
        (["+data.columns.source={_target_: audiogan.data.degrade.Clip}"], {"x", "label", "knobs", "source"}),
        (["network=wavegan"], {"x", "label"}),
    ],
)
def test_columns_that_are_measured(settings: list[str], columns: set[str], tiny_sounds: Path) -> None:
    table, _ = open_data(compose("drums", [f"data.root={tiny_sounds}", "data.length=2048", *settings]))
    assert set(table.columns) == columns
    if "pitch" in columns:
        assert table.column("pitch", [0]).shape == (1, 9)  # One frame per 256 of 2,048 samples, plus one.


def test_without_knobs_there_is_no_such_input(tiny_sounds: Path) -> None:
    cfg = compose("drums", [f"data.root={tiny_sounds}", "data.length=2048", "knobs=[]"])
    table, _ = open_data(cfg)
    representation = resolve_facts(cfg, table)
    assert cfg.facts.knobs == 0 and set(build_game(cfg, representation).inputs) == {"latent", "classes"}


# Runs that exist.


def test_a_run_of_pairs_goes_on_from_its_own_configuration(pairs: str, capsys: Captured) -> None:
    assert main(["train", *PAIRS, pairs]) == 0
    assert main(["train", "run/config.yaml", "trainer.steps=2"]) == 0
    assert "resuming from run/checkpoints/step-00000001.ckpt" in (said := capsys.readouterr().out)
    assert "changed" not in said and Path("run/checkpoints/step-00000002.ckpt").is_file()
    assert main(["train", "run/config.yaml", "trainer.steps=1", "batch_size=3"]) == 0
    assert Path("runs/run,batch_size=3/checkpoints/step-00000001.ckpt").is_file()
    assert main(["train", "run/config.yaml", "inputs.source.column=x"]) == 2
    assert "inputs.source.column cannot be changed" in capsys.readouterr().err


def test_a_run_of_domains_goes_on_from_its_own_configuration(capsys: Captured) -> None:
    for name in "xy":
        pictures(f"data/{name}")
    assert main(["train", *DOMAINS, "data.root=data"]) == 0
    assert main(["train", "run/config.yaml", "trainer.steps=2"]) == 0
    assert "changed" not in capsys.readouterr().out and Path("run/checkpoints/step-00000002.ckpt").is_file()


def test_a_run_of_pairs_is_not_resumed_with_other_networks(pairs: str, capsys: Captured) -> None:
    assert main(["train", *PAIRS, pairs]) == 0
    capsys.readouterr()
    latent = ("+inputs.latent={_target_: audiogan.inputs.Latent, shape: 4}",)
    for settings, change in (
        (["width=8"], "game.generator.width: 4 -> 8"),
        (["game.critic.source=null"], "game.critic.source: [3, 16, 16] -> None"),
    ):
        assert main(["train", *PAIRS, pairs, "trainer.steps=2", *settings]) == 2
        error = capsys.readouterr().err.strip()
        assert "cannot be resumed" in error and change in error and "\n" not in error
    assert main(["train", *PAIRS, pairs, *latent]) == 0  # No network takes the input.
    assert "changed since that checkpoint: " in capsys.readouterr().out


def test_a_run_of_pairs_that_is_resumed_with_other_data_says_so(pairs: str, capsys: Captured) -> None:
    pictures("more/a")
    pictures("more/b")
    assert main(["train", *PAIRS, pairs]) == 0
    assert main(["train", *PAIRS, "data.root=more", "trainer.steps=2"]) == 0
    said = capsys.readouterr().out
    changed = next(line for line in said.splitlines() if line.startswith("changed since that checkpoint: data.root: "))
    assert "; data: 6 pairs" in changed
    assert main(["train", *PAIRS, "data.root=more", "trainer.steps=3", "inputs.source.column=x"]) == 0
    assert "changed since that checkpoint: inputs.source.column: source -> x" in capsys.readouterr().out
