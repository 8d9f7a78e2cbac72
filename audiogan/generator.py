"""A trained model as a music tool uses it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiogan.core import CheckpointError, load_state, newest_state
from audiogan.errors import UserError
from audiogan.modalities import Modality, Sound
from audiogan.sounds import save_wav

BATCH = 16


class Generator:
    """Makes sounds. ``audiogan.load`` gives you one.

    Attributes:
        modality: what it makes: sounds, images, points.
        shape: of one signal: `(channels, samples)` for sounds, `(C, H, W)` for images.
        sample_rate: of sounds, in Hz.
        labels: class names; empty for a model that knows no classes.
        step: training steps it has seen.
        checkpoint: the file it came from.
        config: the configuration of its training, as nested dicts.
    """

    def __init__(self, game: Any, modality: Modality, config: dict[str, Any], checkpoint: Path, step: int) -> None:
        self.game, self.modality, self.config, self.checkpoint, self.step = game, modality, config, checkpoint, step
        self.labels: list[str] = list(config["facts"]["labels"]) if game.classes else []
        self.shape: tuple[int, ...] = game.representation.signal_shape

    def __repr__(self) -> str:
        return f"Generator({str(self.checkpoint)!r}, step={self.step}, labels={self.labels})"

    @property
    def sample_rate(self) -> int:
        """Of its sounds, in Hz; ``UserError`` for a model of something else."""
        if not isinstance(self.modality, Sound):
            raise UserError(f"{self.checkpoint}: it makes {self.modality.noun}s, which have no sample rate")
        return self.modality.sample_rate

    def sample(
        self, n: int = 1, *, seed: int | None = None, label: str | None = None, truncation: float | None = None
    ) -> NDArray[np.float32]:
        """New sounds (or images, or whatever it was trained on).

        Sample ``i`` depends on ``seed + i`` alone, so ``sample(1, seed=s + i)`` gives it again.

        Args:
            n: how many, at least 1.
            seed: at least 0; without one the samples are new each time.
            label: one of ``labels``; without one, classes come as often as in the training data.
            truncation: the smaller, the more typical; more than 0. Latents are multiplied by it, unless the network's
                paper has another way: StyleGAN's psi (1: everything), BigGAN's threshold (infinity: everything).

        Returns:
            float32 array ``[n, *shape]``; sounds and images lie within -1 ... 1.

        Raises:
            UserError: unknown label, or a number out of range.
        """
        waves, _ = self.sample_with_labels(n, seed=seed, label=label, truncation=truncation)
        return waves

    def sample_with_labels(
        self, n: int = 1, *, seed: int | None = None, label: str | None = None, truncation: float | None = None
    ) -> tuple[NDArray[np.float32], list[str]]:
        """As ``sample``, with the class of each sound (empty strings where the model knows none)."""
        if n < 1:
            raise UserError(f"n={n}: ask for at least one")
        if truncation is not None and not 0 < truncation < float("inf"):
            raise UserError(f"truncation={truncation} must be more than 0 and finite")
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        if not 0 <= seed <= 2**63 - 1 - n:
            raise UserError(f"seed={seed} must be a whole number from 0 to 2**63 - 1 - n")
        index = self._class(label)
        waves, names = [], []
        for start in range(0, n, BATCH):
            z, condition = self._latents(range(seed + start, seed + min(start + BATCH, n)), index)
            out = self.game.generate(z, condition, truncation=truncation)
            if not torch.isfinite(out).all():
                noun = self.modality.noun
                raise UserError(f"{self.checkpoint}: its {noun}s are not finite numbers (truncation={truncation})")
            waves.append(self.modality.finish(out.cpu().numpy()))
            names += [self.labels[int(k)] for k in condition.argmax(1)] if condition is not None else [""] * len(z)
        return np.concatenate(waves), names

    def save_wav(self, path: str | os.PathLike[str], wave: NDArray[np.float32], subtype: str = "PCM_16") -> None:
        """Write one sound ``[channels, samples]`` (or ``[samples]``) at this model's sample rate."""
        save_wav(path, wave, self.sample_rate, subtype=subtype)

    def _class(self, label: str | None) -> int | None:
        if label is None:
            return None
        if not self.labels:
            raise UserError(f"class {label!r}: {self.checkpoint} was trained without classes; leave it out")
        if label not in self.labels:
            raise UserError(f"class {label!r} is none of those this model knows: {', '.join(self.labels)}")
        return self.labels.index(label)

    def _latents(self, seeds: range, index: int | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        latents, conditions = [], []
        for seed in seeds:
            rng = torch.Generator().manual_seed(seed)
            latents.append(self.game.latents(1, rng))
            if self.game.classes:
                drawn = self.game.draw_condition(1, rng)
                conditions.append(drawn if index is None else torch.eye(self.game.classes)[index : index + 1].to(drawn))
        return torch.cat(latents), torch.cat(conditions) if conditions else None


def find(run: str | os.PathLike[str] | None = None) -> Path:
    """The checkpoint file or run folder that ``run`` means; without it the newest run below ``runs/``."""
    if run is not None:
        path = Path(run)
        if not path.exists():
            near = ", ".join(str(p) for p in runs()[:5]) or "none; train one with: audiogan train drums"
            raise UserError(f"{run}: no such run or checkpoint; runs here: {near}")
        return path
    found = runs()
    if not found:
        raise UserError("no run found in runs/: train one with `audiogan train drums`, or name one with --run")
    return found[0]


def runs(folder: str | os.PathLike[str] = "runs") -> list[Path]:
    """Run folders with a checkpoint, the one last trained first."""

    def newest(run: Path) -> float:
        return max(p.stat().st_mtime for p in (run / "checkpoints").glob("step-*.ckpt"))

    found = {p.parent.parent for p in Path(folder).glob("**/checkpoints/step-*.ckpt")}
    return sorted(found, key=newest, reverse=True)


def load(run: str | os.PathLike[str] | None = None, device: str = "cpu", *, averaged: bool = True) -> Generator:
    """A trained model, from a run folder or a checkpoint file; without either, from the newest run below ``runs/``.

    ``averaged=False`` takes the weights as they were trained, not their moving average.

    Raises:
        UserError: there is none, it is damaged, or it is not one of audiogan's. Nothing in a file can run code.
    """
    where = find(run)
    path: Path | None = where
    try:
        if where.is_dir():
            folder = where / "checkpoints" if (where / "checkpoints").is_dir() else where
            path, state, damaged = newest_state(folder)
            if path is None:
                raise UserError(damaged[0] if damaged else f"{where}: no checkpoint in it yet")
            for complaint in damaged:
                warnings.warn(f"damaged checkpoint left aside: {complaint}", stacklevel=2)
        else:
            state = load_state(where)
    except CheckpointError as error:
        raise UserError(str(error)) from error
    assert path is not None
    return from_state(state, path, device, averaged=averaged)


def from_state(state: dict[str, Any], path: Path, device: str = "cpu", *, averaged: bool = True) -> Generator:
    """The generator in the state of a training; averaged weights where it has them, unless ``averaged=False``."""
    from omegaconf import OmegaConf

    from audiogan.training import build_game, build_modality, build_representation

    try:
        _check_config(state["config"])
        cfg: Any = OmegaConf.create(state["config"])
        game = build_game(cfg, build_representation(cfg))
        game.load_state_dict(state["trainer"]["game"])
        for callback in state["trainer"]["callbacks"].values():
            if averaged and isinstance(callback, dict) and "nets" in callback:
                game.nets.load_state_dict(callback["nets"], strict=False)
        game.to(torch.device(device)).eval().requires_grad_(False)
        facts = state["config"]["facts"]
        if game.classes not in (0, len(facts["labels"])) or not all(isinstance(name, str) for name in facts["labels"]):
            raise UserError(f"facts.labels={facts['labels']!r} are not the names of {game.classes} classes")
        return Generator(game, build_modality(cfg), state["config"], path, int(state["trainer"]["step"]))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path}: not a checkpoint that audiogan can sample from ({first})") from error


def _check_config(node: Any, key: str = "config") -> None:
    """A stored configuration is resolved. One that still asks for something (an environment variable, say) is not one
    that a training wrote.
    """
    if isinstance(node, dict):
        for name, value in node.items():
            _check_config(name, key)
            _check_config(value, f"{key}.{name}")
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            _check_config(value, f"{key}.{i}")
    elif isinstance(node, str) and "${" in node:
        raise UserError(f"{key}={node[:80]!r}: interpolations are not allowed in a checkpoint")
