"""Start a run from a trained model (setting ``init``): fine-tuning.

Parameters are matched by name. Channels of named inputs, such as classes, are matched by their names, so a new data set
may have other classes. Only the weights and the configuration of the model file are read; no object is built from it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from audiogan.core import CheckpointError, FineTuning, FirstStage, Game, Trainer
from audiogan.core.checking import check_weights
from audiogan.errors import UserError
from audiogan.inputs.scale import QUANTILES
from audiogan.run.model_files import (
    FIRST_STAGE,
    SHIPPED,
    SUFFIX,
    find_model,
    newest_checkpoint,
    read_bundle,
    read_checkpoint,
    shipped_models,
)
from audiogan.run.targets import update_targets
from audiogan.utils.text import join_names, printable

if TYPE_CHECKING:
    from omegaconf import DictConfig

COPIED_PREFIXES = ("nets.", "representation.")
"""Prefixes of the names of tensors that are copied from the model into the new run. All other tensors belong to the
data or the progress of the old run, such as class frequencies, pools of generated images and augmentation
probabilities."""
TRAINING_BUNDLES = SHIPPED / "training"
"""Folder with training bundles of shipped models, which also contain critics. Not every shipped model has one."""


@dataclass(frozen=True)
class Initial:
    """Content of a model file from which a run starts.

    Attributes:
        name: value of ``init``, for messages.
        config: configuration of the model.
        weights: state dict of the model's game. Networks with a moving average have the averaged weights.
        first_stage: state dict of the model's networks at the end of the first stage, see `audiogan.core.FirstStage`.
            Empty if there was none.
    """

    name: str
    config: dict[str, Any]
    weights: dict[str, Tensor] = field(default_factory=dict)
    first_stage: dict[str, Tensor] = field(default_factory=dict)

    def facts(self, *keys: str) -> Any:
        """Return a value below ``facts`` of the configuration, or ``None`` if it does not exist."""
        node: Any = self.config.get("facts")
        for key in keys:
            node = node.get(key) if isinstance(node, dict) else None
        return node


def read_initial(init: str) -> Initial:
    """Read the model from which a run starts.

    Args:
        init: name of a shipped model, or path of a run folder, a checkpoint or a bundle. If a shipped model has a
            training bundle, this bundle is read.

    Raises:
        UserError: the model does not exist, cannot be read or is damaged.

    Examples:
        >>> from audiogan.run.initial import read_initial
        >>> read_initial("digits").facts("signal_shape")
        [1, 16384]
    """
    path = find_model(init)
    if path == shipped_models().get(init) and (TRAINING_BUNDLES / path.name).is_file():
        path = TRAINING_BUNDLES / path.name
    try:
        if path.suffix.lower() == SUFFIX and path.is_file():
            about, found, _ = read_bundle(path)
            config = about["config"]
            first_stage = {k.removeprefix(FIRST_STAGE): v for k, v in found.items() if k.startswith(FIRST_STAGE)}
            weights = {k: v for k, v in found.items() if not k.startswith(FIRST_STAGE)}
        else:
            path, state = newest_checkpoint(path) if path.is_dir() else (path, read_checkpoint(path))
            config, weights, first_stage = state["config"], dict(state["trainer"]["game"]), {}
            for callback in state["trainer"]["callbacks"].values():
                weights |= {f"nets.{name}": value for name, value in callback.get("nets", {}).items()}
                first_stage |= callback.get("first_stage", {})
        check_weights(weights | first_stage)
        if not isinstance(config, dict) or not isinstance(config.get("facts"), dict):
            raise CheckpointError("it has no facts about its data")
    except UserError as error:
        raise UserError(f"init={init}: {error}") from error
    except Exception as error:  # Invalid values in an untrusted file may cause any exception.
        raise UserError(f"init={init}: not a model that training can start from ({printable(error)[:200]})") from error
    return Initial(init, update_targets(config), weights, first_stage)


def adopt_facts(cfg: DictConfig, initial: Initial) -> None:
    """Check that a model fits the data, and copy the scales of its knobs to ``cfg.facts``, because the networks of
    the model have learned these scales.

    Args:
        cfg: configuration whose facts are set.
        initial: model from which the run starts, or a checkpoint of this run.

    Raises:
        UserError: the signals of the model are of another kind or have another sample rate.
    """
    mine, theirs = cfg.facts.modality, initial.facts("modality") or {}
    if theirs.get("_target_") != mine["_target_"]:
        kinds = [str(node.get("_target_")).rpartition(".")[2].lower() for node in (theirs, mine)]
        raise UserError(f"init={initial.name}: a model of kind {kinds[0]}, but the data is of kind {kinds[1]}")
    if (rate := theirs.get("sample_rate")) != mine.get("sample_rate"):
        raise UserError(
            f"init={initial.name}: its sounds have {rate} Hz, but data.sample_rate={mine.get('sample_rate')}; choose "
            f"the configuration with which it was trained, or set data.sample_rate={rate}"
        )
    for name, facts in cfg.facts.inputs.items():
        scale = initial.facts("inputs", name, "scale")
        if scale and facts is not None and facts.get("scale"):
            known = dict(zip(scale["names"], scale["quantiles"], strict=True))
            own = zip(facts.scale.names, facts.scale.quantiles, strict=True)
            facts.scale.quantiles = [known.get(knob, list(quantiles)) for knob, quantiles in own]


def load_initial(
    game: Game, cfg: DictConfig, initial: Initial, rebuild: Callable[[DictConfig], Game], echo: Callable[[str], None]
) -> list[str]:
    """Copy the weights of a model into a new game, by name.

    Args:
        game: game with new weights.
        cfg: configuration of the game, whose facts are set.
        initial: model from which the run starts.
        rebuild: function that builds the game of a configuration.
        echo: function that prints a line.

    Returns:
        Names of the networks whose parameters were all found in the model.

    Raises:
        UserError: no parameter of a generator was found.
    """
    own, found = game.state_dict(), game.upgrade_state_dict(initial.weights)
    channels = _channels(cfg, initial)
    dims = _channel_dimensions(cfg, channels, own, rebuild) if any(c.changed for c in channels) else {}
    copied, other = {}, []
    for name, value in own.items():
        if name.startswith(COPIED_PREFIXES) and name in found:
            fitted = _convert_channels(found[name], value, dims.get(name, {}))
            if fitted is None:
                other.append(f"{name} {list(value.shape)}, in the model {list(found[name].shape)}")
            else:
                copied[name] = fitted
    game.load_state_dict({**own, **copied})
    needed = tuple(f"nets.{name}." for name in _generators(game) or game.nets)
    if not any(name.startswith(needed) for name in copied):
        raise UserError(
            f"init={initial.name}: its weights fit no generator of this configuration; choose the configuration and "
            "the network with which the model was trained"
        )
    parts: dict[str, list[str]] = {"trained": [], "partly trained": [], "with new weights": []}
    for name, net in game.nets.items():
        names = [f"nets.{name}.{key}" for key, _ in net.named_parameters()]
        count = sum(each in copied for each in names)
        kind = "trained" if count == len(names) else "partly trained" if count else "with new weights"
        parts[kind].append(name)
    echo(f"init: {initial.name}; " + "; ".join(f"{kind}: {', '.join(nets)}" for kind, nets in parts.items() if nets))
    for line in [line for c in channels if (line := c.describe())]:
        echo(f"init: {line}")
    shapes = [list(shape or []) for shape in (cfg.facts.signal_shape, initial.facts("signal_shape"))]
    if shapes[0] != shapes[1]:
        echo(f"init: the shape of signals is {shapes[0]}, in the model {shapes[1]}")
    if other:
        echo(f"init: new weights, because the shape differs: {join_names(other, 4, '; ')}")
    return parts["trained"]


def prepare_fine_tuning_callbacks(trainer: Trainer, initial: Initial, loaded: Sequence[str]) -> None:
    """Prepare the callbacks of a run that starts from a trained model.

    If the model has finished its first stage, `FirstStage` does not repeat it. `FineTuning` gets the names of the
    networks that are already trained.

    Args:
        trainer: trainer of the run, before its first step.
        initial: model from which the run starts.
        loaded: result of `load_initial`.
    """
    for callback in trainer.callbacks.values():
        if isinstance(callback, FirstStage) and initial.first_stage:
            own = callback.nets.state_dict()
            fitting = {n: v for n, v in initial.first_stage.items() if n in own and v.shape == own[n].shape}
            callback.load_state_dict({"finished": True, "first_stage": {**own, **fitting}})
            callback.on_resume(trainer)
    for callback in trainer.callbacks.values():
        if isinstance(callback, FineTuning):
            callback.begin(trainer, loaded, _generators(trainer.game))


def _generators(game: Game) -> tuple[str, ...]:
    """Return the names of the generators of a game. Empty if the game is not a subclass of `Generative`."""
    return tuple(getattr(game, "generators", ()))


@dataclass(frozen=True)
class _Channels:
    """Names of the channels of an input, such as classes, in the run and in the model."""

    input: str
    new: list[str]
    old: list[str]
    is_classes: bool

    @property
    def changed(self) -> bool:
        return self.new != self.old

    def describe(self) -> str:
        """Return a line about names that only the run or only the model has. Empty if there are none."""
        added, dropped = ([n for n in a if n not in b] for a, b in ((self.new, self.old), (self.old, self.new)))
        if not added and not dropped:
            return ""
        parts = [f"new {', '.join(added)}"] if added else []
        parts += [f"dropped {', '.join(dropped)}"] if dropped else []
        return f"{self.input}: {printable('; '.join(parts))}"

    def convert(self, block: Tensor, dim: int) -> Tensor:
        """Return weights ``block`` of the old channels along ``dim`` as weights of the new channels.

        The weights of a new class are the mean of the weights of the old classes. The weights of a new knob are 0.
        """
        total = block.sum(dim, keepdim=True)
        start = total / len(self.old) if self.is_classes and self.old else torch.zeros_like(total)
        rows = [block.narrow(dim, self.old.index(n), 1) if n in self.old else start for n in self.new]
        return torch.cat(rows, dim) if rows else block.narrow(dim, 0, 0)


def _channels(cfg: DictConfig, initial: Initial) -> list[_Channels]:
    """Return the named channels of all inputs, in the order in which networks concatenate them."""
    found = []
    for name, facts in cfg.facts.inputs.items():
        for key, path in (("labels", ("labels",)), ("scale", ("scale", "names"))):
            if facts is not None and key in facts:
                new = (facts[key] if key == "labels" else (facts[key] or {}).get("names")) or []
                old = initial.facts("inputs", name, *path) or []
                found.append(_Channels(name, [str(n) for n in new], [str(n) for n in old], key == "labels"))
    return found


def _channel_dimensions(
    cfg: DictConfig, channels: Sequence[_Channels], own: Mapping[str, Tensor], rebuild: Callable[[DictConfig], Game]
) -> dict[str, dict[int, list[_Channels]]]:
    """Find the dimensions of weights that have one entry for each channel of an input.

    For each input, the game is built again with one more channel. The dimensions that grow by one belong to this
    input. The result is a nested dict: name of the weight -> dimension -> inputs with channels along this dimension.
    """
    found: dict[str, dict[int, list[_Channels]]] = {}
    for mine in channels:
        if not mine.new and not mine.old:
            continue
        with torch.random.fork_rng(devices=[]):
            wide = rebuild(_with_extra_channel(cfg, mine)).state_dict()
        for name, value in wide.items():
            before = own[name].shape if name in own else ()
            for dim, size in enumerate(before if len(before) == value.dim() else ()):
                if value.shape[dim] == size + 1:
                    found.setdefault(name, {}).setdefault(dim, []).append(mine)
    return found


def _with_extra_channel(cfg: DictConfig, channels: _Channels) -> DictConfig:
    """Return a copy of a configuration with one more channel of an input."""
    wide = copy.deepcopy(cfg)
    facts, names = wide.facts.inputs[channels.input], [*channels.new, "+".join(["", *channels.new])]
    if channels.is_classes:
        facts.update({"labels": names, "counts": [1] * len(names)})
    else:
        old = list((facts.scale or {}).get("quantiles") or [])
        facts.scale = {"names": names, "quantiles": [*old, list(map(float, range(QUANTILES)))]}
    facts.size = wide.facts[channels.input] = len(names)
    return wide


def _convert_channels(source: Tensor, target: Tensor, dims: Mapping[int, Sequence[_Channels]]) -> Tensor | None:
    """Convert weights of a model to the channels of the new game. Return ``None`` if the shapes do not fit.

    Args:
        source: weights in the model.
        target: weights of the new game.
        dims: inputs by dimension of ``target``. Their channels are the last entries along this dimension, in order.
    """
    if source.dim() != target.dim():
        return None
    for dim in range(source.dim()):
        mine = dims.get(dim, ())
        start = target.shape[dim] - sum(len(c.new) for c in mine)
        if start < 0 or source.shape[dim] != start + sum(len(c.old) for c in mine):
            return None
        if any(c.changed for c in mine):
            parts = [source.narrow(dim, 0, start)]
            for c in mine:
                parts.append(c.convert(source.narrow(dim, start, len(c.old)), dim))
                start += len(c.old)
            source = torch.cat(parts, dim)
    return source.to(target.dtype)
