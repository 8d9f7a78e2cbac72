"""A generator as one graph of tensors: what `Generator.render` does between a recipe and a sound."""

from __future__ import annotations

import copy
import inspect
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from audiogan.errors import UserError
from audiogan.inputs import Latent

if TYPE_CHECKING:
    from audiogan.modalities import Modality
    from audiogan.model.generator import Generator
    from audiogan.model.recipe import Recipe
    from audiogan.representations import Representation

Arrays = dict[str, np.ndarray]


class Playable(nn.Module):
    """The path from the inputs of a model to its signals, as one module.

    Inputs are those of the generator, by name, float32 unless said otherwise:

    - ``latent`` `[B, latent_dim]`: standard normal, or uniform in -1 ... 1 for a model whose paper has it so;
    - ``classes`` `[B, classes]`: weights, at least 0; a row is divided by its sum;
    - ``knobs`` `[B, knobs]`: 0 ... 1, in the order of ``Generator.knobs``;
    - signals `[B, *shape]`, such as ``source``; texts `[B, length]`, int64.

    Output: `[B, *signal_shape]`, float32 in -1 ... 1, as `Generator.render` returns it.

    Args:
        generator: the model.
        route: name of one of several generators; the first by default.

    Raises:
        UserError: the signals are neither sounds nor images.
    """

    def __init__(self, generator: Generator, route: str | None = None) -> None:
        super().__init__()
        game = generator.game
        name = generator.route(route)
        self.network: nn.Module = copy.deepcopy(game.nets[name])
        self.names = [key for key in game.inputs if key in self.network.takes]
        self.inputs = nn.ModuleDict({key: copy.deepcopy(game.inputs[key]) for key in self.names})
        self.representation: Representation = copy.deepcopy(game.representation)
        self.output = output_name(generator.name, generator.modality)
        self.modality = generator.modality
        self.cpu().eval().requires_grad_(False)
        # torch.export reads the names of the inputs from the signature, and does not support **inputs.
        forward = partial(self.play)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        forward.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in self.names])  # type: ignore[attr-defined]
        self.forward = forward

    def examples(self, n: int) -> dict[str, Tensor]:
        """Return ``n`` example values of each input."""
        return {
            name: given.to_exported(given.example(n))  # type: ignore[operator]
            for name, given in self.inputs.items()
        }

    def play(self, *values: Tensor, **inputs: Tensor) -> Tensor:
        """Return signals; the inputs by name, or in the order of ``names``."""
        given = {**dict(zip(self.names, values, strict=False)), **inputs}
        encoded = {
            name: each.encode(each.from_exported(given[name]))  # type: ignore[operator]
            for name, each in self.inputs.items()
        }
        return self.modality.finish_tensor(self.representation.decode(self.network(**encoded).float()))


def output_name(name: str, modality: Modality) -> str:
    """Return the name of a model's output, such as ``wave`` or ``image``.

    Args:
        name: of the model, for the message.
        modality: of the model.

    Raises:
        UserError: models of this modality cannot be exported.
    """
    if modality.output_name is None:
        raise UserError(f"{name}: a model of {modality.noun}s cannot be exported; models of sounds and images can")
    return modality.output_name


def arrays(generator: Generator, recipes: Sequence[Recipe], route: str | None = None) -> Arrays:
    """Return the inputs of `Playable` that make the signals of recipes.

    Raises:
        UserError: a truncation that is more than a factor of the latent (StyleGAN's and BigGAN's).
    """
    net = generator.game.nets[generator.route(route)]
    factor = np.array([1.0 if r.truncation is None else r.truncation for r in recipes], np.float32)
    if (factor != 1).any() and hasattr(net, "truncated"):
        raise UserError(f"{generator.name}: the truncation of this network is not part of an exported model")
    made: Arrays = {}
    for name, value in generator.input_values(recipes).items():
        if name in net.takes:
            made[name] = generator.inputs[name].to_exported(value).numpy()
            if isinstance(generator.inputs[name], Latent):
                made[name] *= factor.reshape(-1, *[1] * (value.dim() - 1))
    return made


def traced(generator: Generator, route: str | None = None) -> torch.export.ExportedProgram:
    """Return the graph of a model for any batch size, without paths and source lines.

    Raises:
        UserError: the network does something that a graph cannot express.
    """
    module = Playable(generator, route)
    inputs = {name: torch.from_numpy(x) for name, x in arrays(generator, examples(generator, 2), route).items()}
    batch = torch.export.Dim("batch")
    shapes = {name: {0: batch} for name in inputs}
    failed: Exception | None = None
    # A graph read off a run is what torch recommends; one read off the source copes with `len(x)` of a free size.
    for strict in (False, True):
        try:
            with quiet():
                program = torch.export.export(module, (), inputs, dynamic_shapes=shapes, strict=strict)
            break
        except Exception as error:  # whatever torch finds, in any of its own classes
            failed = error
    else:
        why = (str(failed).strip().splitlines() or [type(failed).__name__])[0][:200]
        raise UserError(f"{generator.name}: its network cannot be exported ({why})") from failed
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # paths and source lines
    return program


def examples(generator: Generator, n: int, seed: int = 0) -> list[Recipe]:
    """Return recipes for tracing and checks; inputs that cannot be drawn are examples."""
    given = {name: each.example(n) for name, each in generator.inputs.items() if not each.drawable}
    made = []
    for i in range(n):
        random = torch.Generator().manual_seed(seed + i)
        values = generator.game.draw(1, random, **{name: x[i] for name, x in given.items()})
        made.append(generator.recipe_of(values, seed + i))
    return made


@contextmanager
def quiet() -> Iterator[None]:
    """Without torch's remarks on its own insides and on packages that nobody asked for."""
    loggers: list[Any] = [logging.getLogger(name) for name in ("torch", "torch.onnx", "onnxscript", "onnx_ir")]
    before = [(logger, logger.level) for logger in loggers]
    nobody = io.StringIO()  # torch prints the graph that it gives up
    with warnings.catch_warnings(), redirect_stdout(nobody), redirect_stderr(nobody):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, was in before:
                logger.setLevel(was)
