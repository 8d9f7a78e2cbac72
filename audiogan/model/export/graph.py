"""The computation graph of a generator for export, from the input values of a recipe to the generated signals."""

from __future__ import annotations

import copy
import inspect
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
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


class ExportedGenerator(nn.Module):
    """A PyTorch module that computes signals from the named inputs of a model.

    Inputs are float32 except text:

    - ``latent`` ``[B, latent_dim]``: standard normal, or uniform in -1 ... 1 for models trained with uniform latents.
    - ``classes`` ``[B, classes]``: non-negative weights. Each row is divided by its sum.
    - ``knobs`` ``[B, knobs]``: settings in 0 ... 1, in the order of ``Generator.knobs``.
    - signals ``[B, *shape]``, such as ``source``.
    - text ``[B, length]``, int64.

    The output is ``[B, *signal_shape]``, float32 in -1 ... 1, as returned by `Generator.render`.

    Args:
        generator: the model.
        route: name of the generator network, for models with several. None selects the first.

    Raises:
        UserError: the signals are neither sounds nor images.
    """

    def __init__(self, generator: Generator, route: str | None = None) -> None:
        super().__init__()
        game = generator.game
        name = generator.routes.find(route)
        self.network: nn.Module = copy.deepcopy(game.nets[name])
        self.names = [key for key in game.inputs if key in self.network.takes]
        self.inputs = nn.ModuleDict({key: copy.deepcopy(game.inputs[key]) for key in self.names})
        self.representation: Representation = copy.deepcopy(game.representation)
        self.output = output_name(generator.name, generator.modality)
        self.modality = generator.modality
        self.cpu().eval().requires_grad_(False)
        # torch.export reads the names of the inputs from the signature of `forward`, and does not support **inputs.
        # `forward` is a method of a new class, because torch.export derives the names of constants from the attribute
        # path. If `forward` were an attribute of the module, the path ``forward.func.__self__.network`` would give
        # invalid names.
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        named = inspect.Signature([inspect.Parameter(name, kind) for name in ("self", *self.names)])
        self.__class__ = type(type(self).__name__, (type(self),), {"forward": _forward_with(named)})

    def example_inputs(self, n: int) -> dict[str, Tensor]:
        """Return `n` example values of each input."""
        return {
            name: given.to_exported(given.example_values(n))  # type: ignore[operator]
            for name, given in self.inputs.items()
        }

    def round_to_half(self) -> None:
        """Round the weights of the network to half precision. They are still stored as float32.

        Raises:
            UserError: a weight is too large for half precision.
        """
        for name, value in self.network.state_dict().items():
            if value.dtype == torch.float32:
                value.copy_(value.half())
                if not torch.isfinite(value).all():
                    raise UserError(f"{name} is not finite in half precision; export without --half")

    def run(self, *values: Tensor, **inputs: Tensor) -> Tensor:
        """Return the signals for inputs given by keyword, or by position in the order of ``names``."""
        given = {**dict(zip(self.names, values, strict=False)), **inputs}
        encoded = {
            name: each.encode(each.from_exported(given[name]))  # type: ignore[operator]
            for name, each in self.inputs.items()
        }
        return self.modality.postprocess_tensor(self.representation.decode(self.network(**encoded).float()))


def _forward_with(signature: inspect.Signature) -> Callable[..., Tensor]:
    """Return a `forward` method of `ExportedGenerator` with the given signature."""

    def forward(self: ExportedGenerator, *values: Tensor, **inputs: Tensor) -> Tensor:
        return self.run(*values, **inputs)

    forward.__signature__ = signature  # type: ignore[attr-defined]
    return forward


def output_name(model: str, modality: Modality) -> str:
    """Return the name of the output of an exported model, such as ``wave`` or ``image``.

    Args:
        model: name of the model for the error message.
        modality: modality of the model.

    Raises:
        UserError: models of this modality cannot be exported.
    """
    if modality.output_name is None:
        raise UserError(f"{model}: a model of {modality.noun}s cannot be exported; models of sounds and images can")
    return modality.output_name


def input_arrays(generator: Generator, recipes: Sequence[Recipe], route: str | None = None) -> Arrays:
    """Return the inputs of `ExportedGenerator` that generate the signals of recipes.

    Raises:
        UserError: the network defines its own truncation (StyleGAN, BigGAN), and a recipe uses truncation.

    Examples:
        >>> import audiogan
        >>> from audiogan.model.export import example_recipes, input_arrays
        >>> generator = audiogan.load("drums")
        >>> sorted(input_arrays(generator, example_recipes(generator, 3)))
        ['classes', 'knobs', 'latent']
    """
    net = generator.game.nets[generator.routes.find(route)]
    factor = np.array([1.0 if r.truncation is None else r.truncation for r in recipes], np.float32)
    if (factor != 1).any() and hasattr(net, "forward_truncated"):
        raise UserError(f"{generator.name}: the truncation of this network is not part of an exported model")
    made: Arrays = {}
    for name, value in generator.input_values(recipes).items():
        if name in net.takes:
            made[name] = generator.inputs[name].to_exported(value).numpy()
            if isinstance(generator.inputs[name], Latent):
                made[name] *= factor.reshape(-1, *[1] * (value.dim() - 1))
    return made


def export_program(
    generator: Generator, route: str | None = None, *, half: bool = False
) -> torch.export.ExportedProgram:
    """Return the program of a model exported by ``torch.export``, for any batch size. File paths and source lines are
    removed.

    Args:
        generator: the model.
        route: name of the generator network, for models with several. None selects the first.
        half: round the weights to half precision.

    Raises:
        UserError: the network uses an operation that cannot be exported.
    """
    module = ExportedGenerator(generator, route)
    if half:
        module.round_to_half()
    inputs = {
        name: torch.from_numpy(x) for name, x in input_arrays(generator, example_recipes(generator, 2), route).items()
    }
    batch = torch.export.Dim("batch")
    shapes = {name: {0: batch} for name in inputs}
    failed: Exception | None = None
    # Non-strict export is tried first, because PyTorch recommends it. Strict export follows, because it also supports
    # `len(x)` of a dynamic size.
    for strict in (False, True):
        try:
            with silence_torch():
                program = torch.export.export(module, (), inputs, dynamic_shapes=shapes, strict=strict)
            break
        except Exception as error:  # torch.export raises errors of many classes
            failed = error
    else:
        why = (str(failed).strip().splitlines() or [type(failed).__name__])[0][:200]
        raise UserError(f"{generator.name}: its network cannot be exported ({why})") from failed
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # stack traces contain file paths and source lines
    return program


def example_recipes(generator: Generator, n: int, seed: int = 0) -> list[Recipe]:
    """Return random recipes for tracing and checks. Inputs that cannot be drawn at random get example values.

    Examples:
        >>> import audiogan
        >>> from audiogan.model.export import example_recipes
        >>> len(example_recipes(audiogan.load("drums"), 3))
        3
    """
    given = {name: each.example_values(n) for name, each in generator.inputs.items() if not each.drawable}
    made = []
    for i in range(n):
        random = torch.Generator().manual_seed(seed + i)
        values = generator.game.draw(1, random, **{name: x[i] for name, x in given.items()})
        made.append(generator.recipe_from_values(values, seed + i))
    return made


@contextmanager
def silence_torch() -> Iterator[None]:
    """Suppress the warnings and the output of PyTorch and ONNX packages inside the block."""
    loggers: list[Any] = [logging.getLogger(name) for name in ("torch", "torch.onnx", "onnxscript", "onnx_ir")]
    before = [(logger, logger.level) for logger in loggers]
    hidden = io.StringIO()  # PyTorch prints the whole graph if the export fails
    with warnings.catch_warnings(), redirect_stdout(hidden), redirect_stderr(hidden):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, was in before:
                logger.setLevel(was)
