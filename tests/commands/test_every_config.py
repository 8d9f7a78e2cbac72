"""Tests that every shipped configuration supports every command, see `every_command`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from every_command import COMMANDS, Run, trained_once

from audiogan.run.packaged import shipped_configs

SOUNDS = ["data.root={sounds}", "data.length=2048", "data.holdout=0.5", "batch_size=2"]
TONENOISE = [
    *("warm_up=1", "game.generator.width=8", "game.generator.blocks=1"),
    *("game.critic.mel_widths=[4,4]", "game.critic.stft_widths=[4,4]", "game.critic.onset_widths=[4,4]"),
]
DIGITS = ["data.root=digits", "batch_size=4"]
SMALL = {
    "bandwidth": [
        *("data.root={sounds}", "data.length=4096", "data.holdout=0.5", "batch_size=2", "width=8"),
        *("game.generator.blocks=1", "game.critic.mel_widths=[4,4]", "game.critic.stft_widths=[4,4]"),
    ],
    "colourise": ["data.size=16", "width=2", "batch_size=2", "game.generator.depth=2", "game.critic.layers=1"],
    "cyclegan": ["data.size=16", "width=2", "blocks=1", "game.pool=2", "game.critics.critic_a.layers=1"],
    "denoise": ["data.size=16", "width=4", "batch_size=2", "game.critic.width=4", "game.critic.layers=1"],
    "drums": [*SOUNDS, *TONENOISE],
    "drums-44k": [*SOUNDS, *TONENOISE, "game.critic.line_widths=[4,4]"],
    "enhance": [
        *("data.root={sounds}", "data.length=4096", "data.holdout=0.5", "batch_size=2", "game.generator.n_fft=256"),
        *("game.generator.hop_length=128", "game.generator.widths=[4,4]", "game.generator.hidden=8"),
        *("game.generator.layers=1", "game.critic.width=4"),
    ],
    "handwriting": [*DIGITS, "width=4"],
    "images": [*DIGITS, "width=4", "data.size=16"],
    "inpaint": ["data.size=16", "width=4", "critic_width=4", "critic_layers=1", "dilations=[2]", "batch_size=2"],
    "md-gan": [*DIGITS, "width=4", "workers=2"],
    "pix2pix": ["data.size=16", "width=4", "batch_size=2", "game.critic.layers=1"],
    "super-resolution": ["data.size=16", "factor=2", "width=4", "blocks=1", "batch_size=2", "game.critic.layers=1"],
    "points": ["data.count=400", "batch_size=8", "widths=[8,8]"],
    "r3gan": [*DIGITS, "widths=[8,8]", "group_channels=4"],
    "semi-supervised": [*DIGITS, "width=4", "game.critic.widths=[8,8]"],
    "speech": [*SOUNDS, *TONENOISE],
    "vocoder": [
        *(*SOUNDS, "game.generator.width=8", "game.generator.layers=1", "game.generator.iterations=2"),
        *("game.critic.critics.periods.width=2", "game.critic.critics.spectrograms.width=2"),
    ],
    "voice-conversion": [
        *("data.root={sounds}", "data.length=4096", "data.holdout=0.5", "batch_size=2"),
        *("game.generator.width=8", "game.generator.layers=1", "game.generator.code=4"),
        *("game.critic.width=2", "game.critic.layers=1"),
    ],
    "tts": [
        *(
            "data.root={spoken}",
            "data.holdout=0.5",
            "batch_size=2",
            "game.generator.width=16",
            "game.generator.layers=1",
        ),
        *("game.generator.text_layers=1", "game.generator.pitch_layers=1", "game.generator.inner=16"),
        "game.critic.width=2",
    ],
    "stylegan": [*DIGITS, "sizes.small.channel_base=32", "sizes.small.latent_dim=8", "sizes.small.style_dim=8"],
}
"""What makes each configuration small. ``{sounds}`` stands for a folder of 40 sounds of the drum machine, ``{spoken}``
for one with texts."""
SAME_EXPORT = {"drums-44k", "handwriting", "md-gan", "semi-supervised", "speech"}
"""Configurations with the generator of another one. Their export to ONNX takes seconds, so its test is marked slow."""


@pytest.fixture(scope="module")
def run_of(tiny_sounds: Path, tiny_speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Return a function from the name of a configuration to its run. Each configuration is trained once."""
    runs: dict[str, Run | None] = {}
    folders = {"{sounds}": str(tiny_sounds), "{spoken}": str(tiny_speech)}

    def train(name: str) -> Run:
        if name not in SMALL:
            pytest.fail(f"configs/{name}.yaml: add overrides that make it small to SMALL in {Path(__file__).name}")
        overrides = SMALL[name]
        for mark, folder in folders.items():
            overrides = [each.replace(mark, folder) for each in overrides]
        return trained_once(runs, name, lambda: Run(tmp_path_factory.mktemp(name), name, overrides))

    return train


@pytest.mark.parametrize(
    ("name", "command"),
    [
        pytest.param(
            name,
            command,
            id=f"{name}-{command}",
            marks=[pytest.mark.slow] if command == "export-onnx" and name in SAME_EXPORT else [],
        )
        for name in shipped_configs()
        for command in COMMANDS
    ],
)
def test_every_command(name: str, command: str, run_of: Callable[[str], Run]) -> None:
    run = run_of(name)
    if name == "voice-conversion" and command == "export-onnx":
        # Iterations for the phases amplify the rounding of onnxruntime, so the export is refused.
        file = run.folder / "model.onnx"
        assert "nothing was written" in run.command("export", run.path, file, code=2) and not file.exists()
        return
    COMMANDS[command](run)
