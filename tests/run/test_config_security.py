"""Tests of untrusted configurations: they run no code, access no other files, and use limited memory and time."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from audiogan.cli import main
from audiogan.errors import UserError
from audiogan.modalities import Points
from audiogan.run.config import compose
from audiogan.run.copies import MAX_COPIES
from audiogan.run.facts import resolve_facts

POINTS = "defaults: [points, _self_]\ntrainer: {steps: 1}\ncallbacks: {previews: null, monitors: null}\n"
WRITER = (
    "{version: 1, handlers: {f: {class: logging.FileHandler, filename: victim.txt, mode: w}}, root: {handlers: [f]}}"
)
GLOBAL = "# @package _global_"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty working folder with a file that must not change."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "victim.txt").write_text("precious")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the single line with which ``train`` refuses these arguments."""
    code, err = main(["train", *arguments]), capsys.readouterr().err
    assert code == 2 and len(err.strip().splitlines()) == 1 and "Traceback" not in err, err
    return err


# Files of a configuration that try to change the section ``hydra``, by name. `mine.yaml` is the entry point.
HYDRA = {
    "merge key": {"mine.yaml": "defaults: [points, _self_]\n<<: {hydra: {searchpath: ['pkg://antigravity']}}"},
    "resolver in the defaults": {
        "mine.yaml": "defaults: [points, 'e@hydra.job_logging: ${oc.select:hydra/job_logging,default}', _self_]",
        "e/none.yaml": WRITER,
        "e/default.yaml": "version: 1",
    },
    "header": {"mine.yaml": f"# @package _global_.hydra\ndefaults: [points@_global_, _self_]\nhydra_logging: {WRITER}"},
    "header of a group": {
        "mine.yaml": "defaults: [points, extra: log, _self_]",
        "extra/log.yaml": f"# @package hydra.job_logging\n{WRITER}",
    },
    "global header of a group": {
        "mine.yaml": "defaults: [points, extra: log, _self_]",
        "extra/log.yaml": f"{GLOBAL}\ndefaults: [sub@_global_.hydra: deep]",
        "extra/sub/deep.yaml": f"hydra_logging: {WRITER}",
    },
    "package in the defaults": {
        "mine.yaml": "defaults: [points, extra@hydra.job_logging: log, _self_]",
        "extra/log.yaml": WRITER,
    },
    "choice of a group": {"mine.yaml": "defaults: [points, override hydra/job_logging: none, _self_]"},
    "sweeper": {"mine.yaml": "defaults: [points, e@hydra.sweeper: x, _self_]", "e/x.yaml": "_target_: os.mkdir"},
    "verbose": {"mine.yaml": "defaults: [points, e@hydra: x, _self_]", "e/x.yaml": "verbose: true"},
    "overrides that are applied later": {
        "mine.yaml": "defaults: [points, e@hydra.overrides: x, _self_]",
        "e/x.yaml": "hydra: [hydra/job_logging=none]",
    },
    "overrides that are said to be typed": {
        "mine.yaml": "defaults: [points, e@hydra.overrides: x, _self_]",
        "e/x.yaml": "task: [seed=1]",
    },
    "search path": {
        "mine.yaml": "defaults: [points, e@hydra: x, _self_]",
        "e/x.yaml": "searchpath: ['pkg://antigravity']",
    },
    "callbacks": {
        "mine.yaml": "defaults: [points, e@hydra.callbacks: x, _self_]",
        "e/x.yaml": "mine: {_target_: audiogan.core.Checkpoints, folder: victim}",
    },
}


@pytest.mark.parametrize("name", ["mine.yml", "mine.YAML"])
def test_a_sweep_reads_files_as_one_training_does(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The header applies to every extension. Otherwise, these defaults would change hydra's logging."""
    (place / "e").mkdir()
    (place / "e/log.yaml").write_text(WRITER)
    defaults = "defaults: [points@_global_, e@hydra.job_logging: log, e@hydra.hydra_logging: log, _self_]"
    (place / name).write_text(f"# @package foo\n{defaults}\na: ${{foo.b}}\nb: 1\n")
    assert main(["train", name, "-m", "trainer.steps=0"]) == 0, capsys.readouterr().err
    assert (place / "victim.txt").read_text() == "precious"


@pytest.mark.parametrize("multirun", [False, True], ids=["one", "multirun"])
@pytest.mark.parametrize("kind", HYDRA)
def test_files_cannot_change_hydras_own_section(
    kind: str, multirun: bool, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in HYDRA[kind].items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    err = refused(capsys, "mine.yaml", *(["-m"] if multirun else []), "trainer.steps=1")
    assert "hydra" in err and ".yaml" in err
    assert (place / "victim.txt").read_text() == "precious" and not (place / "runs").exists()
    assert "antigravity" not in sys.modules


def test_the_choice_that_a_sweep_replaces_is_judged_too(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "extra").mkdir()
    evil = f"# @package hydra.job_logging\n{WRITER}"
    for name, text in {"evil": evil, "a": f"{GLOBAL}\nseed: 1", "b": f"{GLOBAL}\nseed: 2"}.items():
        (place / "extra" / f"{name}.yaml").write_text(text)
    (place / "mine.yaml").write_text("defaults: [points, extra: evil, _self_]")
    assert "hydra" in refused(capsys, "mine.yaml", "-m", "extra=a,b", "trainer.steps=1")
    assert (place / "victim.txt").read_text() == "precious" and not (place / "runs").exists()


def test_a_shadowed_shipped_configuration_is_not_the_reference(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("drums-44k", "drums", "points"):  # For every reference, the shipped configuration must be used.
        (place / f"{name}.yaml").write_text(f"# @package _global_.hydra\nhydra_logging: {WRITER}")
    (place / "mine.yaml").write_text("defaults: [drums@_global_, _self_]")
    refused(capsys, "./drums.yaml", "-m", "trainer.steps=1")
    assert (place / "victim.txt").read_text() == "precious"


def test_the_persons_own_words_about_hydra_count(place: Path) -> None:
    (place / "mine.yaml").write_text(POINTS)
    assert compose("mine.yaml", ["hydra.sweep.dir=elsewhere", "hydra/job_logging=none"]).name == "mine"


DISK = "_target_: audiogan.core.Checkpoints, folder: victim, keep: 1"
KINDS = {
    "a callback that deletes": f"callbacks: {{more: {{{DISK}}}}}",
    "through its own module": "callbacks: {more: {_target_: audiogan.core.checkpoint.Checkpoints, folder: victim}}",
    "as a part of a callback": f"callbacks: {{ema: {{nets: {{{DISK}}}}}}}",
    "as a network": f"game: {{critic: {{{DISK}}}}}",
    "as an engine": f"engine: {{{DISK}}}",
    "as a player": f"players: {{more: {{{DISK}}}}}",
    "as data": f"data: {{{DISK}}}",
    "as a view": f"streams: {{train: {{{DISK}}}}}",
    "as a representation": f"representation: {{{DISK}}}",
    "a folder as a callback": "callbacks: {more: {_target_: audiogan.data.sounds.sources.open_sounds, root: .}}",
    "an engine as a network": "game: {critic: {_target_: audiogan.core.Engine, threads: 8}}",
    "a key that looks like another place": "game: {'augment: engine': {_target_: audiogan.core.Engine}}",
    "a network as a callback": "callbacks: {more: {_target_: torch.nn.Linear, in_features: 1, out_features: 1}}",
    "an optimizer as a network": "game: {critic: {_target_: torch.optim.Adam, params: []}}",
    "a key of its own": f"voice: {{{DISK}}}",
    "half a callback": "callbacks: {more: {_target_: audiogan.core.EMA, _partial_: true, nets: [critic]}}",
    "a cache elsewhere": "data: {cache: victim}",
    "a setting without its name": "data: {_args_: [., 8, 1, auto, false, victim]}",
    "a number as a callback": "callbacks: {ema: 5}",
    "a text as a player": "players: {critic: hello}",
    "a list as an engine": "engine: [1]",
    "no class": "callbacks: {more: {every: 5}}",
    "a text as the batch of a stream": "streams: {train: {batch_size: x}}",
    "a list as streams": "streams: [1]",
    "a number as knobs": "knobs: 5",
    "a device without memory": "engine: {device: meta}",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_place_takes_only_its_own_kind(kind: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "victim").mkdir()
    (place / "mine.yaml").write_text(f"defaults: [points, _self_]\ntrainer: {{steps: 1}}\n{KINDS[kind]}")
    refused(capsys, "mine.yaml")
    assert not list((place / "victim").iterdir()) and not (place / "runs").exists()


UNFIT = {
    "clip": "players: {critic: {clip: x}}",
    "critic": "game: {critic: null}",
    "penalty": "game: {penalties: {r1: 5}}",
    "embedding": "callbacks: {monitors: {_target_: audiogan.monitors.Monitors, embedding: /etc/passwd}}",
    "voice": "game: {generator: {voice: {x: 1}}}",
}


@pytest.mark.parametrize("kind", UNFIT)
def test_settings_that_do_not_fit_are_bad_input(kind: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "mine.yaml").write_text(
        "defaults: [points, more, _self_]\ntrainer: {steps: 1}\nwidths: [4, 4]\ndata: {count: 200}\n"
    )
    (place / "more.yaml").write_text(f"{GLOBAL}\n{UNFIT[kind]}")
    assert "a bug in audiogan" not in refused(capsys, "mine.yaml")


@pytest.mark.parametrize(
    "line",
    [
        "run_dir: app",
        "run_dir: /somewhere/else",
        "run_dir: runs",
        "run_dir: runs/../app",
        "run_dir: 5",
        "name: ../app",
        "name: /app",
        "name: .hidden",
        "name: ~",
        'name: "\\e[2J"',
        "name: {a: b}",
        'name: "a\\0b"',
    ],
)
def test_a_file_chooses_no_folder_outside_of_runs(line: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "app").mkdir()
    (place / "mine.yaml").write_text(POINTS + line)
    if line == "name: ~":  # YAML's null: the name of the file is used.
        assert compose("mine.yaml").run_dir == str(Path("runs") / "mine")
        return
    err = refused(capsys, "mine.yaml")
    assert "\x1b" not in err and "\0" not in err
    assert not list((place / "app").iterdir()) and not (place / "runs").exists()


def test_a_folder_that_is_no_run_is_refused_even_by_name(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "app").mkdir()
    (place / "app" / "config.yaml").write_text("db: production")
    err = refused(capsys, "points", "run_dir=app", "trainer.steps=0")
    assert "run_dir=app" in err and (place / "app" / "config.yaml").read_text() == "db: production"
    assert [p.name for p in (place / "app").iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    "value",
    [
        "${oc.env:SECRET}",
        "x${oc.env:SECRET,none}",
        "${ oc.env : SECRET }",
        "${oc.decode:${oc.env:SECRET}}",
        "${${word}.env:SECRET}",
        "${oc.${word}:SECRET}",
        "${now:%Y}",
        "${hydra:runtime.cwd}",
    ],
)
def test_a_file_cannot_read_the_environment(
    value: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SECRET", "s3cr3t")
    (place / "mine.yaml").write_text(f"{POINTS}voice: env\nword: oc\nname: '{value}'")
    assert "s3cr3t" not in refused(capsys, "mine.yaml")
    assert not (place / "runs").exists()


@pytest.mark.parametrize("name", ["mine-${oc.env:SECRET}.yaml", "${oc.env:SECRET}/mine.yaml"])
def test_the_name_of_a_file_reads_no_environment(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SECRET", "s3cr3t")
    (place / name).parent.mkdir(exist_ok=True)
    (place / name).write_text(POINTS)
    assert "s3cr3t" not in refused(capsys, name)
    assert not (place / "runs").exists()


def test_the_names_of_data_read_no_environment(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3cr3t")
    cfg = compose("points")
    data = SimpleNamespace(labels=["a", "${oc.env:SECRET}"], class_counts=[1, 1], modality=Points(), shape=[2])
    with pytest.raises(UserError, match=r"a class of the data has the name \$\{oc.env:SECRET\}"):
        resolve_facts(cfg, data)  # type: ignore[arg-type]
    (place / "${oc.env:SECRET}").mkdir()
    monkeypatch.chdir("${oc.env:SECRET}")
    (Path.cwd() / "sounds").mkdir()
    with pytest.raises(UserError, match=r"data.root has the name .*\$\{oc.env:SECRET\}"):
        compose("drums", ["data.root=sounds"])


def test_a_person_may_read_the_environment(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "mine")
    assert compose("points", ["name=${oc.env:NAME}"]).name == "mine"


@pytest.mark.parametrize("entry", ["../secret/key@voice", "/../secret/key@voice", "extra/key@voice", "linked@voice"])
def test_defaults_stay_in_their_folder(entry: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "secret").mkdir()
    (place / "secret" / "key.yaml").write_text("token: hunter2")
    (place / "a").mkdir()
    (place / "a" / "extra").symlink_to(place / "secret")
    (place / "a" / "linked.yaml").symlink_to(place / "secret" / "key.yaml")
    (place / "a" / "mine.yaml").write_text(f"defaults: [points, {entry}, _self_]\ntrainer: {{steps: 1}}")
    assert "hunter2" not in refused(capsys, "a/mine.yaml")
    assert not (place / "runs").exists()


LAUGHS = "\n".join(
    ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]", *(f"a{i}: &a{i} [{','.join(10 * [f'*a{i - 1}'])}]" for i in range(1, 10))]
)
DOUBLING = "\n".join(["b0: x", *(f"b{i}: '${{b{i - 1}}}${{b{i - 1}}}'" for i in range(1, 60))])
SECTIONS = "\n".join(["c0: {x: 1}", *(f"c{i}: {{x: '${{c{i - 1}}}', y: '${{c{i - 1}}}'}}" for i in range(1, 60))])
COSTLY = {
    "aliases": LAUGHS,
    "interpolations": DOUBLING,
    "sections": SECTIONS,
    "copies": "players: {'p_{i}': {copies: 1000000000, _target_: audiogan.core.Player, name: x, nets: [critic]}}",
    "depth": f"voice: {900 * '['}{900 * ']'}",
    "great depth": f"voice: {100000 * '['}",
    "an alias of itself": "voice: &a [*a]",
    "a large file": f"# {1 << 20} bytes\n#" + (1 << 20) * "x",
    "threads": "engine: {threads: 1000000}",
    "binary": "voice: !!binary aGVsbG8=",
    "a set": "voice: !!set {a, b}",
    "a date": "voice: !!timestamp 2020-01-01",
    "python": "voice: !!python/name:os.system",
    "nan": "checkpoints: {keep: .nan}",
    "infinity": "checkpoints: {every_minutes: .inf}",
    "nan in a list": "betas: [0.0, .nan]",
    "keep": "checkpoints: {keep: many}",
    "steps between checkpoints": "checkpoints: {every_steps: 0}",
    "a large number": "seed: 99999999999999999999",
    "null defaults": "defaults: [points, null]",
    "a map as defaults": "defaults: {a: {b: [c]}}",
    "a number as defaults": "defaults: 5",
    "an open brace": "name: '${'",
    "itself by name": "voice: ${voice}",
    "itself through another": "voice: ${partials}\npartials: ${voice}",
    "its own section": "voice: {x: {y: '${voice}'}}",
    "two documents": "---\na: 1\n---\nb: 2",
    "a list": "- 1\n- 2",
    "a text": "hello",
    "nothing": "",
    "a nul": 'voice: "a\\0b"',
    "a number as a key": "1: 2",
    "many copies": f"voice: {{'x_{{i}}': {{copies: 1000, v: [{','.join(400 * '1')}]}}}}",
    "long copies": f"voice: {{'x_{{i}}': {{copies: 1000, v: '{30_000 * '{i}'}'}}}}",
    "previews": "callbacks: {previews: {_target_: audiogan.run.callbacks.Previews, count: 1000000000}}",
    "numbers as keys": "voice: {1: 2, null: 3}",
}


@pytest.mark.parametrize("kind", COSTLY)
def test_a_costly_or_odd_configuration_is_one_line(kind: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = "defaults" in COSTLY[kind] or kind in ("two documents", "a list", "a text", "nothing")
    (place / "mine.yaml").write_text(COSTLY[kind] if alone else POINTS + COSTLY[kind])
    assert ("threads" if kind == "threads" else "mine.yaml") in refused(capsys, "mine.yaml")
    assert not list((place / "runs").glob("**/*.ckpt"))


def test_a_configuration_that_names_itself_is_one_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "mine.yaml").write_text("defaults: [mine, _self_]")
    assert "mine.yaml" in refused(capsys, "mine.yaml")


def test_as_many_copies_as_allowed_are_made(place: Path) -> None:
    assert MAX_COPIES >= 100
    with pytest.raises(UserError, match="copies"):
        compose("md-gan", [f"workers={MAX_COPIES + 1}"])
