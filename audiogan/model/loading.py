"""Load trained models safely. Loading never executes code from a model file.

A model with networks from outside the package needs the module that defines them. Trust the module explicitly, see
`audiogan.run.trust`.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiogan.core import CheckpointError
from audiogan.core.checking import describe_differences
from audiogan.errors import UserError
from audiogan.inputs import Signal
from audiogan.modalities import Modality
from audiogan.model.generator import Generator
from audiogan.model.untrusted import MAX_DIMENSIONS, MAX_SIGNAL_VALUES, Budget, check_config
from audiogan.run.model_files import (
    FIRST_STAGE,
    SUFFIX,
    find_model,
    newest_checkpoint,
    read_bundle,
    read_checkpoint,
    shipped_models,
)
from audiogan.run.trust import check_required_modules, trust_modules, trusted_modules
from audiogan.utils.text import printable

MAX_BUILD_ELEMENTS, MAX_FORWARD_ELEMENTS = 1 << 24, 1 << 27
"""Maximum number of elements of one tensor. While networks are built, the maximum is ``MAX_BUILD_ELEMENTS`` plus eight
times the number of stored weights. While a signal is generated, it is ``MAX_FORWARD_ELEMENTS``."""
MAX_BUILD_CALLS = 20_000
"""Maximum number of PyTorch operations while networks are built. 200 more are allowed for each stored tensor."""


def load(
    run: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    *,
    ema: bool = True,
    strength: float | None = None,
    trust: str | Sequence[str] = (),
) -> Generator:
    """Load a trained model.

    The model file may come from an untrusted source. Loading reads no other file, executes no code from the file,
    and uses memory in proportion to the size of the file.

    Args:
        run: name of a shipped model, or path of a run folder, a checkpoint or a bundle. None selects the newest run
            below ``runs/``, or the shipped drums if there is none.
        device: PyTorch device, such as "cpu" or "cuda".
        ema: use the exponential moving average of the weights if the checkpoint contains one. False uses the last
            weights. Shipped models contain the average only.
        strength: for models that were trained in two stages, a number in 0 ... 1. 0 uses the weights at the end of the
            first stage, before adversarial training, 1 uses the final weights, and other numbers interpolate between
            the two, see `audiogan.core.FirstStage`. None uses the final weights.
        trust: name or names of modules outside the package that the model may import, such as ``["my_networks"]``.
            Python also searches the working folder. The code of these modules is executed.

    Returns:
        The model as a `Generator`.

    Raises:
        UserError: the model does not exist, is damaged, was not written by audiogan, has weights that are not finite,
            or needs a module that is not trusted.

    Examples:
        >>> import audiogan
        >>> generator = audiogan.load("drums")
        >>> generator.sample_rate, generator.shape
        (16000, (1, 16384))
    """
    with trust_modules(trust):
        where = find_model(run)
        if where.suffix.lower() == SUFFIX and where.is_file():
            return from_bundle(where, device, strength=strength)
        try:
            path, state = newest_checkpoint(where) if where.is_dir() else (where, read_checkpoint(where))
        except CheckpointError as error:
            raise UserError(str(error)) from error
        return from_checkpoint(state, path, device, ema=ema, strength=strength)


def from_bundle(path: Path, device: str = "cpu", *, strength: float | None = None) -> Generator:
    """Return the generator stored in a bundle, see `audiogan.run.model_files` and `load`."""
    about, weights, card = read_bundle(path)
    with _one_line_errors(path):
        check_required_modules(about.get("requires", []))
        config, step = _without_data_cache(about["config"]), _check_step(about["step"])
        first_stage = {
            key.removeprefix(FIRST_STAGE): weights.pop(key) for key in [*weights] if key.startswith(FIRST_STAGE)
        }
        game, modality = _rebuild(config, weights)
        _check_first_stage(game, first_stage)
        interpolate(game, first_stage, strength)
        name = next((name for name, file in shipped_models().items() if file == path), None)
        if name is None:
            _check_generation(Generator(game, modality, config, path, step))
        game.to(torch.device(device))
        return Generator(
            game, modality, config, path, step, name=name, card=card, trust=trusted_modules(), first_stage=first_stage
        )


def from_checkpoint(
    state: dict[str, Any], path: Path, device: str = "cpu", *, ema: bool = True, strength: float | None = None
) -> Generator:
    """Return the generator stored in the state of a checkpoint.

    Args:
        state: content of the checkpoint.
        path: path of the checkpoint.
        device: PyTorch device.
        ema: use the moving average of the weights if the checkpoint contains one.
        strength: interpolation between the weights at the end of the first stage (0) and the final weights (1), see
            `load`.

    Raises:
        UserError: the state does not describe a valid model.
    """
    with _one_line_errors(path):
        check_required_modules(state.get("requires", []))
        config, step = _without_data_cache(state["config"]), _check_step(state["trainer"]["step"])
        game, modality = _rebuild(config, state["trainer"]["game"])
        first_stage: dict[str, torch.Tensor] = {}
        for callback in state["trainer"]["callbacks"].values():
            if ema and isinstance(callback, dict) and "nets" in callback:
                game.nets.load_state_dict(callback["nets"], strict=False)
            if isinstance(callback, dict) and "first_stage" in callback:
                first_stage = dict(callback["first_stage"])
        _check_first_stage(game, first_stage)
        interpolate(game, first_stage, strength)
        _check_finite(game)
        _check_generation(Generator(game, modality, config, path, step))
        game.to(torch.device(device))
        return Generator(game, modality, config, path, step, trust=trusted_modules(), first_stage=first_stage)


def interpolate(game: Any, first_stage: dict[str, torch.Tensor], strength: float | None) -> None:
    """Move the weights of a game towards those at the end of its first stage, in place.

    Args:
        game: game with the final weights.
        first_stage: state dict of the networks at the end of the first stage. Empty if there was none.
        strength: 0 for the weights of the first stage, 1 for the final weights. None changes nothing.

    Raises:
        UserError: the strength is out of range, or the model has no first stage.

    Source: Wang et al., "ESRGAN", ECCV Workshops 2018, section 3.4 (network interpolation).
    """
    if strength is None:
        return
    if not 0 <= strength <= 1:
        raise UserError(f"strength={strength:g}: must be from 0 (first stage) to 1 (final weights)")
    if not first_stage:
        raise UserError(
            "strength: the model has no weights of a finished first stage; train it with callbacks.first_stage, and "
            "export it without --final"
        )
    final = game.nets.state_dict()
    mixed = {
        name: torch.lerp(value, final[name], strength) if value.is_floating_point() else final[name]
        for name, value in first_stage.items()
    }
    game.nets.load_state_dict(mixed, strict=False)


def _check_first_stage(game: Any, first_stage: dict[str, torch.Tensor]) -> None:
    """Raise `UserError` if the weights of the first stage do not fit the networks or are not finite."""
    nets = {name.split(".", 1)[0] for name in first_stage}
    final = {name: value for name, value in game.nets.state_dict().items() if name.split(".", 1)[0] in nets}
    if different := describe_differences(final, first_stage):
        raise UserError(f"the weights of its first stage do not fit: {printable(different)[:300]}")
    for name, value in first_stage.items():
        if value.is_complex() or not torch.isfinite(value).all():
            raise UserError(f"the weights of its first stage are not finite numbers ({printable(name)[:80]})")


def _without_data_cache(config: Any) -> Any:
    """Return the configuration without cache folders, because an untrusted model must not choose where files are
    written."""
    if not isinstance(config, dict):
        return config
    return {key: _without_cache(value) if key == "data" else value for key, value in config.items()}


def _without_cache(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_cache(value) for key, value in node.items() if key != "cache"}
    return [_without_cache(value) for value in node] if isinstance(node, list) else node


def _rebuild(config: Any, weights: dict[str, torch.Tensor]) -> tuple[Any, Modality]:
    """Rebuild the game of a stored configuration and load its weights. Return the game and its modality.

    Memory is limited to the stored weights, their initial values, and tables such as windows and filters.
    """
    from omegaconf import OmegaConf

    from audiogan.run.training import build_game, build_inputs, build_modality, build_representation

    check_config(config)
    stored = sum(value.numel() for value in weights.values())
    if odd := next((name for name, value in weights.items() if value.is_complex()), None):
        raise UserError(f"its weights are complex numbers ({printable(odd)[:80]})")
    # The section ``facts.inputs`` is not converted, because it is long and omegaconf takes milliseconds for a hundred
    # values.
    kept = {key: config[key] for key in ("representation", "game")}
    cfg: Any = OmegaConf.create({**kept, "facts": {"modality": config["facts"]["modality"]}})
    room = MAX_BUILD_ELEMENTS + 8 * stored
    with Budget(room, room, 8 * room, MAX_BUILD_CALLS + 200 * len(weights)):
        inputs = build_inputs(config["inputs"], config["facts"]["inputs"])
        game: Any = build_game(cfg, build_representation(cfg), inputs)
        weights = game.upgrade_state_dict(weights)
        if different := describe_differences(game.state_dict(), weights):
            raise UserError(f"its weights belong to another version of this network: {printable(different)[:300]}")
        game.load_state_dict(weights)
    game.eval().requires_grad_(False)
    _check_finite(game)
    for given in game.inputs.values():
        _check_input(given)
    modality = build_modality(cfg)
    _check_signals(modality, tuple(game.representation.signal_shape))
    return game, modality


def _check_finite(game: Any) -> None:
    """Raise `UserError` if a weight is NaN or infinite."""
    for name, value in game.state_dict().items():
        # A finite sum proves that all values are finite, and it is fast to compute. If the sum is not finite, all
        # values are tested, because finite values can have an infinite sum.
        if value.is_floating_point() and not math.isfinite(float(value.sum())) and not torch.isfinite(value).all():
            shown = printable(name)[:80]
            raise UserError(f"its weights are not finite numbers ({shown}); get another version of this model")


def _check_signals(modality: Modality, shape: tuple[int, ...], where: str = "facts.") -> None:
    """Raise `UserError` if the modality does not fit the signal shape, or if the signals are too large."""
    if math.prod(shape) > MAX_SIGNAL_VALUES:
        raise UserError(f"signals of shape {list(shape)}: more than {MAX_SIGNAL_VALUES:,} values each")
    try:
        modality.check_shape(shape)
    except UserError as error:
        raise UserError(f"{where}modality: {error}") from error


def _check_input(given: Any) -> None:
    """Raise `UserError` if the values of an input are too large, or if a signal input has no modality."""
    given.check_buffers()
    sizes = [1 if size is None else size for size in given.shape]
    if len(sizes) > MAX_DIMENSIONS or not all(
        isinstance(size, int) and 0 < size <= MAX_SIGNAL_VALUES for size in sizes
    ):
        raise UserError(
            f"inputs.{given.name}: expected at most {MAX_DIMENSIONS} sizes and {MAX_SIGNAL_VALUES:,} values"
        )
    if not isinstance(given, Signal):
        return
    if not isinstance(given.modality, Modality):
        raise UserError(f"facts.inputs.{given.name}.modality: the kind of signal is missing")
    # The check omits the number of channels. An input can have more channels than its file, for example an added mask.
    _check_signals(given.modality, (1, *sizes[1:]) if len(sizes) > 1 else tuple(sizes), f"facts.inputs.{given.name}.")
    if math.prod(sizes) > MAX_SIGNAL_VALUES:
        raise UserError(f"inputs.{given.name}: more than {MAX_SIGNAL_VALUES:,} values each")


def _check_generation(generator: Generator) -> None:
    """Generate one signal, so that a model that cannot generate is refused while loading."""
    with (
        torch.random.fork_rng(devices=[]),
        Budget(MAX_FORWARD_ELEMENTS, 16 * MAX_FORWARD_ELEMENTS, 16 * MAX_FORWARD_ELEMENTS, 100 * MAX_BUILD_CALLS),
    ):
        game = generator.game
        for name in generator.routes:
            values = {key: given.example_values(1) for key, given in generator.inputs.items()}
            made = generator.modality.postprocess(game.generate(values, generator=name).numpy())
            if not np.isfinite(made).all():
                raise UserError(f"its {generator.modality.noun}s are not finite numbers")
            # Examples of inputs with variable size are larger than the training signals. Therefore, only the channels
            # of the output are compared with the expected shape.
            checked = 2 if any(None in given.shape for given in generator.inputs.values()) else made.ndim
            if made.ndim != len(generator.shape) + 1 or made.shape[1:checked] != generator.shape[: checked - 1]:
                raise UserError(f"its signals have the shape {list(made.shape[1:])} instead of {list(generator.shape)}")


def _check_step(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise UserError(f"step={str(value)[:40]}: must be a number of training steps")
    return value


@contextlib.contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    """Convert every error about the content of a file into a one-line `UserError` that names the file."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {printable(error)}") from error
    except Exception as error:  # a configured class can raise any error
        first = printable((str(error).strip().splitlines() or [type(error).__name__])[0])[:200]
        raise UserError(f"{path}: not a model that audiogan can sample from ({first})") from error
