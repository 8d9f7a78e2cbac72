"""A generator as one graph of tensors: what `Generator.render` does between a recipe and a sound."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from audiogan.data.knobs import EXTREME
from audiogan.errors import UserError

if TYPE_CHECKING:
    from audiogan.generator import Generator
    from audiogan.modalities import Modality
    from audiogan.recipe import Recipe
    from audiogan.representations import Representation

Arrays = dict[str, np.ndarray]
LATENT, CLASSES, KNOBS = "latent", "classes", "knobs"
# Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 1988, routine PPND7:
# numerators and denominators of two quotients of polynomials, the highest power first.
MIDDLE = (59.109374720, 159.29113202, 50.434271938, 3.3871327179), (67.187563600, 78.757757664, 17.895169469, 1.0)
TAIL = (0.17023821103, 1.3067284816, 2.7568153900, 1.4234372777), (0.12021132975, 0.73700164250, 1.0)


class Playable(nn.Module):
    """Latents, class weights and knobs as a musician knows them -> what is heard or seen.

    Inputs, float32, those of classes and knobs only where the model knows any:

    - ``latent`` `[B, latent_dim]`: standard normal, or uniform in -1 ... 1 for a model whose paper has it so;
    - ``classes`` `[B, classes]`: weights, at least 0; a row is divided by its sum;
    - ``knobs`` `[B, knobs]`: 0 ... 1, in the order of ``Generator.knobs``.

    Output: `[B, *signal_shape]`, float32 in -1 ... 1, as `Generator.render` gives it.

    Raises:
        UserError: a model of something that is neither sound nor image.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        game = generator.game
        self.network: nn.Module = copy.deepcopy(game.nets["generator"])
        self.representation: Representation = copy.deepcopy(game.representation)
        self.output = output_name(generator.name, generator.modality)
        self.modality = generator.modality
        self.cpu().eval().requires_grad_(False)

    def forward(self, latent: Tensor, classes: Tensor | None = None, knobs: Tensor | None = None) -> Tensor:
        parts = [] if classes is None else [classes / classes.sum(1, keepdim=True).clamp_min(1e-6)]
        if knobs is not None:
            parts.append(normal_scores(knobs))
        signal = self.representation.decode(self.network(latent, torch.cat(parts, dim=1) if parts else None).float())
        return self.modality.finish_tensor(signal)


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


def normal_scores(shares: Tensor) -> Tensor:
    """`Scale.scores_of_shares` within 1e-6, of operations that every runtime has."""
    p = shares.clamp(EXTREME, 1 - EXTREME)
    q = p - 0.5
    r = (-torch.minimum(p, 1 - p).log()).sqrt() - 1.6
    middle = q * _quotient(MIDDLE, 0.180625 - q * q)
    return torch.where(q.abs() <= 0.425, middle, torch.sign(q) * _quotient(TAIL, r))


def _quotient(coefficients: tuple[Sequence[float], Sequence[float]], x: Tensor) -> Tensor:
    above, below = (_polynomial(row, x) for row in coefficients)
    return above / below


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


def arrays(generator: Generator, recipes: Sequence[Recipe]) -> Arrays:
    """The inputs of `Playable` that make the sounds of recipes, float32.

    Raises:
        UserError: a truncation that is more than a factor of the latent (StyleGAN's and BigGAN's).
    """
    latent = np.array([recipe.latent for recipe in recipes], np.float32)
    factor = np.array([[1.0 if r.truncation is None else r.truncation] for r in recipes], np.float32)
    if (factor != 1).any() and hasattr(generator.game.nets["generator"], "truncated"):
        raise UserError(f"{generator.name}: the truncation of this network is not part of an exported model")
    made: Arrays = {LATENT: latent * factor}
    if generator.labels:
        weights = [[recipe.classes.get(name, 0.0) for name in generator.labels] for recipe in recipes]
        made[CLASSES] = np.array(weights, np.float32)
    if generator.knobs:
        made[KNOBS] = np.array([[recipe.knobs[name] for name in generator.knobs] for recipe in recipes], np.float32)
    return made


def traced(generator: Generator) -> torch.export.ExportedProgram:
    """The graph of a model, for any batch size, without a word of where it was made.

    Raises:
        UserError: its network does something that a graph cannot say.
    """
    module = Playable(generator)
    inputs = {name: torch.from_numpy(x) for name, x in arrays(generator, generator.recipes(2, seed=0)).items()}
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
