"""Tests of configurations: shipped ones, faulty ones, malicious ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf
from tiny import TINY

from audiogan.errors import UserError
from audiogan.run.build import build
from audiogan.run.config import compose
from audiogan.run.copies import expand_copies
from audiogan.run.facts import resolve_facts
from audiogan.run.folder import run_folder_name
from audiogan.run.packaged import CONFIG_FOLDER
from audiogan.run.targets import find_targets, resolve_target
from audiogan.run.training import open_data
from audiogan.run.training import train as run

SMALL = ("batch_size=2", "trainer.steps=2", "callbacks.previews=null", "data.holdout=0", "engine.threads=1")
LOSSES = sorted(path.stem for path in (CONFIG_FOLDER / "loss").glob("*.yaml"))
# Overrides that make each network small, for training on sounds or on images.
SOUND_NETWORKS = {
    "stftgan": ["game.generator.widths=[16,8]", "game.critic.widths=[8,8]"],
    "wavegan": ["model_size=2"],
    "specgan": ["model_size=2"],
    "tonenoise": [
        "warm_up=1",
        "game.generator.width=8",
        "game.critic.mel_widths=[4,4]",
        "game.critic.stft_widths=[4,4]",
    ],
    "modalnoise": [
        "warm_up=1",
        "game.generator.width=8",
        "game.critic.mel_widths=[4,4]",
        "game.critic.stft_widths=[4,4]",
        "game.critic.onset_widths=[4,4]",
        "game.critic.line_widths=[4,4]",
    ],
}
IMAGE_NETWORKS = {
    "dcgan": ["width=4"],
    "mlp": ["widths=[8,8]"],
    "biggan": ["game.generator.width=4", "game.critic.width=4"],
    "r3gan": ["widths=[8,8]", "group_channels=4"],
    "stylegan": [],
}


def data_for(cfg: DictConfig, sounds: Path) -> list[str]:
    """Return overrides that select the smallest data for a configuration."""
    return {
        "open_sounds": [f"data.root={sounds}"],
        "open_images": ["data.root=digits"],
        "open_points": ["data.count=64"],
        "open_pairs": ["data.size=16", "width=4", "game.critic.layers=1"],  # drawn figures
        "open_domains": ["data.size=24", "width=4", "blocks=1"],
    }[cfg.data._target_.rpartition(".")[2]]


def test_every_network_is_tried() -> None:
    assert {path.stem for path in (CONFIG_FOLDER / "network").glob("*.yaml")} == {*SOUND_NETWORKS, *IMAGE_NETWORKS}


def network_loss_pairs() -> list[tuple[str, str]]:
    """Return every loss for one network of sounds and one of images, and two losses for every other network."""
    whole = [(network, loss) for network in ("tonenoise", "dcgan") for loss in LOSSES]
    others = [network for network in (*SOUND_NETWORKS, *IMAGE_NETWORKS) if network not in ("tonenoise", "dcgan")]
    return whole + [(name, LOSSES[(2 * i + k) % len(LOSSES)]) for i, name in enumerate(others) for k in (0, 1)]


@pytest.mark.parametrize(("network", "loss"), network_loss_pairs())
def test_every_network_takes_two_steps(network: str, loss: str, tiny_sounds: Path, tmp_path: Path) -> None:
    name = "drums" if network in SOUND_NETWORKS else "handwriting"
    small = SOUND_NETWORKS.get(network) or IMAGE_NETWORKS[network]
    data = data_for(compose(name), tiny_sounds)
    overrides = [*SMALL, *small, *data, f"network={network}", f"loss={loss}", f"run_dir={tmp_path}"]
    trainer = run(compose(name, overrides), progress=False)
    assert trainer.step == 2 and trainer.stop_reason is None
    assert {f"{p}/loss" for p in ("critic", "generator")} <= set(trainer.callbacks["log"].last)  # type: ignore[attr-defined]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ["images", "r3gan"])
def test_configurations_with_a_relativistic_loss_take_every_other_loss(name: str, loss: str) -> None:
    penalties = compose(name, [f"loss={loss}"]).game.get("penalties") or {}
    assert all("_target_" in penalty for penalty in penalties.values())


def test_copies_multiply_entries() -> None:
    cfg = OmegaConf.create(
        {
            "n": 2,
            "players": {"critic_{i}": {"copies": "${n}", "nets": ["critic_{i}"], "index": "{i}"}, "generator": {}},
        }
    )
    expand_copies(cfg)
    assert OmegaConf.to_container(cfg) == {
        "n": 2,
        "players": {
            "generator": {},
            "critic_0": {"nets": ["critic_0"], "index": 0},
            "critic_1": {"nets": ["critic_1"], "index": 1},
        },
    }
    with pytest.raises(UserError, match=r"x_\{i\}.copies=0 must be"):
        expand_copies(OmegaConf.create({"x_{i}": {"copies": 0}}))


def test_one_of_several_copies_is_overridden(tmp_path: Path) -> None:
    small = ["workers=5", "data.root=digits"]
    given = ["players.critic_3.repeats=2", "+players.critic_4.every=7", "~streams.shard_2"]
    cfg = compose("md-gan", [*given, "game.critics.critic_0.width=5", *small])
    assert [cfg.players[f"critic_{i}"].repeats for i in range(5)] == [1, 1, 1, 2, 1]
    assert cfg.players.critic_4.every == 7 and cfg.game.critics.critic_0.width == 5 and "shard_2" not in cfg.streams
    assert list(cfg.players) == ["critic", "generator", *(f"critic_{i}" for i in range(5))]
    assert list(compose("md-gan", small).players) == list(cfg.players)
    (tmp_path / "mine.yaml").write_text(
        "defaults: [md-gan, _self_]\nplayers: {critic_1: {every: 3}, critic_2: null}\nlr: {critic: 0.1}\n"
    )
    own = compose(str(tmp_path / "mine.yaml"), ["data.root=digits", "players.critic_0.repeats=2"])
    assert (own.players.critic_0.repeats, own.players.critic_1.every, own.players.critic_2) == (2, 3, None)
    assert own.players.critic_1.name == "critic_1" and own.players.critic_0.optimizer.lr == 0.1
    with pytest.raises(UserError, match="critic_9"):
        compose("md-gan", [*small, "players.critic_9.every=2"])
    with pytest.raises(UserError, match="evry"):
        compose("md-gan", [*small, "players.critic_1.evry=2"])


def test_a_wrong_fact_is_named_with_those_that_exist(tmp_path: Path) -> None:
    def refused(*overrides: str, name: str = "handwriting") -> str:
        with pytest.raises(UserError) as caught:
            compose(name, ["data.root=digits", *overrides])
        assert "\n" not in str(caught.value)
        return str(caught.value)

    have = "classes, format, inputs, knobs, labels, modality, shape, signal_shape"
    assert refused("game.generator.classes=${facts.clases}").endswith(
        f"${{facts.clases}}: facts has no 'clases'; it has {have}"
    )
    assert "facts.inputs.classes has no 'names'; it has counts, labels, size" in refused(
        "width=${facts.inputs.classes.names}"
    )
    assert "facts.inputs has no 'source'; it has classes, knobs; add the input: inputs.source" in refused(
        "width=${facts.inputs.source.shape}"
    )
    assert "data cannot refer to facts" in refused("data.mirror=${facts.classes}")
    assert "inputs cannot refer to facts" in refused("inputs.classes.use=${facts.classes}")


def test_a_network_of_sounds_names_data_that_has_no_format() -> None:
    cfg = compose("handwriting", ["data.root=digits", "network=wavegan"])
    table, _ = open_data(cfg)
    with pytest.raises(UserError, match=r"facts.format exists for sounds only, but the data contains images"):
        resolve_facts(cfg, table)


def test_the_drum_machine_is_the_last_resort_and_says_so() -> None:
    cfg = compose("drums", ["data.length=2048"])
    train, held_out = open_data(cfg)
    assert "drum machine" in train.source and len(train) + len(held_out) == 2000


def test_the_same_command_means_the_same_run() -> None:
    first = compose("drums", ["network=wavegan", "trainer.steps=5", "seed=1"]).run_dir
    assert first == compose("drums", ["seed=1", "trainer.steps=9", "network=wavegan", "trainer.minutes=1"]).run_dir
    assert first != compose("drums", ["network=wavegan", "seed=2"]).run_dir
    assert compose("drums").run_dir == str(Path("runs") / "drums")
    one, two = (run_folder_name("drums", [f"data.root=/some/{x}/drums"]) for x in "ab")
    assert one != two and "/" not in one and one.startswith("drums,data.root=drums-")


def test_a_configuration_of_ones_own_finds_the_shipped_groups(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("defaults:\n  - drums\n  - _self_\nseed: 7\nbatch_size: 3\n")
    cfg = compose(str(own), ["trainer.steps=1"])
    assert (cfg.seed, cfg.batch_size, cfg.name) == (7, 3, "mine")


HOSTILE = {
    "os.system": "game: {_target_: os.system, command: 'touch {flag}'}",
    "subprocess": "game: {generator: {_target_: subprocess.Popen, args: [touch, '{flag}']}}",
    "eval": "callbacks: {x: {_target_: builtins.eval, _args_: [\"open('{flag}','w')\"]}}",
    "through a module of ours": "game: {augment: {_target_: audiogan.data.cache.os.system, command: 'touch {flag}'}}",
    "a function of ours": "data: {_target_: audiogan.data.downloads.download.get, out: '{flag}'}",
    "a writer of ours": "data: {_target_: audiogan.core.save_state, path: '{flag}', state: {}}",
    "torch.hub": "game: {critic: {_target_: torch.hub.load, repo_or_dir: x, model: y}}",
    "torch.load": "game: {critic: {_target_: torch.load, f: '{flag}'}}",
    "torch.nn.modules.*.torch": "game: {critic: {_target_: torch.nn.modules.module.torch.load, f: x}}",
    "a list": "game: {penalties: [{_target_: os.mkdir, path: '{flag}'}]}",
    "escaped resolver": "game: {augment: '\\${oc.create:{_target_:os.mkdir,path:{flag}}}'}",
    "dunder": "game: {critic: {_target_: audiogan.core.Engine.__init__.__globals__}}",
    "hydra callbacks": "hydra: {callbacks: {x: {_target_: os.mkdir, path: '{flag}'}}}",
    "hydra launcher": "hydra: {launcher: {_target_: os.mkdir}}",
    "hydra searchpath": "hydra: {searchpath: ['pkg://antigravity']}",
    "yaml object": "seed: !!python/object/apply:os.mkdir ['{flag}']",
}


@pytest.mark.parametrize("multi", [False, True], ids=["train", "multirun"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_configurations_run_nothing(
    kind: str, multi: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from audiogan.cli import main

    monkeypatch.chdir(tmp_path)
    flag = tmp_path / "flag"
    bad = tmp_path / "bad.yaml"
    bad.write_text("defaults:\n  - drums\n  - _self_\n" + HOSTILE[kind].replace("{flag}", str(flag)) + "\n")
    code = main(["train", str(bad), *(["-m", "seed=1,2"] if multi else []), "trainer.steps=1"])
    err = capsys.readouterr().err
    assert code == 2 and len(err.strip().splitlines()) == 1 and "bad.yaml" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.yaml"]


def test_blocks_and_torch_layers_are_allowed() -> None:
    for key, target in (
        ("game.critic.first", "torch.nn.Linear"),
        ("players.critic.optimizer", "torch.optim.AdamW"),
        ("game.generator", "audiogan.networks.wavegan.WaveGANGenerator"),
        ("callbacks.mean", "audiogan.core.EMA"),
    ):
        assert isinstance(resolve_target(target, f"{key}._target_"), type)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["trainer.stpes=3"], "stpes"),
        (["network=nonsense"], "nonsense"),
        (["trainer.steps=-1"], "trainer.steps=-1"),
        (["trainer.steps=abc"], "trainer.steps='abc'"),
        (["trainer.steps=null"], "trainer.steps"),
        (["batch_size=0"], "batch_size=0"),
        (["trainer.clock=moon"], "trainer.clock"),
        (["+nonsense=3"], "nonsense"),
        (["+trainer.nonsense=3"], "trainer.nonsense"),
        (["seed"], "seed"),
        (["a=[1"], "a=[1"),
    ],
)
def test_bad_overrides_are_one_line_that_names_them(
    overrides: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from audiogan.cli import main

    assert main(["train", "drums", *overrides]) == 2
    err = capsys.readouterr().err
    assert words in err and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.root=nowhere"], "nowhere"),
        (["data.holdout=2"], "data.holdout"),
        (["game.generator.widths=[8,8,8,8,8,8,8,8]"], "widths|doublings"),
        (["representation.hop_length=1000"], "hop_length"),
        (["+game.generator.nonsense=1"], "nonsense"),
        (["engine.precision=fp8"], "precision"),
        (["engine.device=cuda:99"], "cuda"),
        (["classes=3"], "classes=3"),
        (["+players.critic.every=0"], "every=0"),
    ],
)
def test_bad_values_are_one_line_that_names_them(
    overrides: list[str], words: str, tiny_sounds: Path, tmp_path: Path
) -> None:
    everything = [*TINY, f"data.root={tiny_sounds}", "trainer.steps=1", f"run_dir={tmp_path}", *overrides]
    with pytest.raises(UserError, match=words) as caught:
        run(compose("drums", everything), progress=False)
    assert "\n" not in str(caught.value)


def test_unknown_configurations_are_named() -> None:
    for name in ("nonsense", "nonsense.yaml"):
        with pytest.raises(UserError, match=r"nonsense.*drums"):
            compose(name)


def test_a_resolved_configuration_survives_a_checkpoint() -> None:
    cfg = compose("drums")
    assert OmegaConf.to_container(cfg, resolve=True) == OmegaConf.create(OmegaConf.to_yaml(cfg, resolve=True))
    assert list(find_targets(OmegaConf.to_container(cfg, resolve=True)))


def test_an_unknown_key_of_a_class_is_named_with_the_known_keys() -> None:
    node = {"_target_": "audiogan.core.Anneal", "start": 0.5, "least": 0.1}
    with pytest.raises(UserError, match=r"^callbacks\.anneal\.least: Anneal has no such key; known are start, shape"):
        build(node, "callbacks.anneal")


def test_a_wrong_choice_of_a_group_lists_the_choices() -> None:
    with pytest.raises(UserError, match=r"'loss/hinj'; choose one of hinge, least-squares, .*, wgan-gp") as caught:
        compose("drums", ["loss=hinj"])
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"'trainer.step': no such key; check the spelling"):
        compose("drums", ["trainer.step=3"])
