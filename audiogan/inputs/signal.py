"""The signal input: an image, a sound or another signal from which a generator starts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogan.errors import UserError
from audiogan.inputs.base import Input, find_column


class Signal(Input):
    """Input with a signal, such as the source image of an image translation.

    Args:
        name: keyword argument of the networks, and key in recipes (stored inputs of generated samples).
        shape: shape of one signal, such as ``[C, H, W]``. A dimension of ``None`` can have any size.
        modality: `audiogan.modalities.Modality` of the signals. It reads files and draws signals.
        column: name of the data column with the signals.
        representation: invertible transform between signals and the tensors that networks receive. ``None`` passes
            signals unchanged.
        size: number of channels. It is ignored, because the number follows from ``shape``.

    Attributes:
        whole: whether `encode` needs the whole signal. Such signals are not divided into tiles.

    Examples:
        >>> import numpy as np
        >>> from audiogan.inputs import Signal
        >>> from audiogan.modalities import Image
        >>> Signal(shape=(1, 8, 8), modality=Image()).parse(np.zeros((1, 8, 8), np.float32)).shape
        torch.Size([1, 8, 8])
    """

    default_column = "source"
    drawable = False
    whole = False

    def __init__(
        self,
        name: str = "source",
        shape: Sequence[int | None] = (),
        modality: Any = None,
        column: str | None = "source",
        representation: Any = None,
        size: int | None = None,
    ) -> None:
        if not shape:
            raise ValueError(f"{name}: the data has no column {column!r}")
        super().__init__(name, shape, column)
        self.modality, self.representation = modality, representation

    @classmethod
    def data_facts(cls, table: Any, column: str | None = "source", **options: Any) -> dict[str, Any]:
        """Return ``shape`` and ``modality`` of the signals in the column, and ``size``, their number of channels."""
        if table is None:
            return {"shape": [], "modality": None, "size": 0}
        found = find_column(table, column or cls.default_column, "signals", "modality")
        return {"shape": list(found.shape), "modality": found.modality.to_config(), "size": found.shape[0]}

    def encode(self, x: Tensor) -> Tensor:
        return x if self.representation is None else self.representation.encode(x)

    def parse(self, value: Any, *, any_size: bool = False) -> Tensor:
        """Return the signal from a file, an array or a tensor.

        Args:
            value: path of a file, or an array with the shape of this input.
            any_size: whether to accept other sizes than `shape`. The number of channels must be that of `shape` in any
                case.

        Raises:
            UserError: the file cannot be read, the shape is wrong, or a value is not finite.
        """
        try:
            is_path = isinstance(value, str | os.PathLike)
            x = self.modality.load(value, self.shape) if is_path else self.modality.convert(value, self.shape)
        except UserError as error:
            raise UserError(f"{self.name}: {error}") from error
        x = torch.as_tensor(np.ascontiguousarray(x, np.float32))
        wanted = [size if i == 0 or not any_size else None for i, size in enumerate(self.shape)]
        if x.dim() != len(wanted) or any(w not in (None, size) for w, size in zip(wanted, x.shape, strict=True)):
            where = f" ({os.fspath(value)})" if is_path else ""
            hint = "; `audiogan apply` takes other sizes" if not any_size else ""
            shapes = f"expected shape {_format_shape(wanted)}, got {_format_shape(x.shape)}"
            raise UserError(f"{self.name}{where}: {shapes}{hint}")
        if not bool(torch.isfinite(x).all()):
            raise UserError(f"{self.name}: the signal contains NaN or infinity")
        return x

    def to_json(self, x: Tensor) -> dict[str, Any]:
        """Return the shape and the SHA-256 of a signal. A recipe does not contain the signal itself."""
        raw = np.ascontiguousarray(x.detach().cpu().numpy(), "<f4").tobytes()
        return {"sha256": hashlib.sha256(raw).hexdigest(), "shape": list(x.shape)}

    def from_json(self, json_value: Any) -> Tensor:
        how = f"inputs={{{self.name!r}: FILE}}"
        raise UserError(f"{self.name}: the recipe contains only the SHA-256 of the signal; pass the signal: {how}")

    def to_display(self, x: Any) -> Any:
        """Return values of the input ``[n, *shape]`` in the range in which the modality draws signals.

        Args:
            x: tensor or array.
        """
        return x

    def example_values(self, n: int) -> Tensor:
        sizes = [size or 1024 for size in self.shape]
        return 0.3 * torch.randn(n, *sizes, generator=torch.Generator().manual_seed(0)).clamp(-3, 3)

    def mix(self, first: Tensor, second: Tensor, fraction: float) -> Tensor:
        if first.shape != second.shape:
            shapes = f"{_format_shape(first.shape)} and {_format_shape(second.shape)}"
            raise UserError(f"{self.name}: signals of shapes {shapes} cannot be mixed")
        return super().mix(first, second, fraction)

    def describe(self) -> str:
        noun = getattr(self.modality, "noun", "signal")
        return f"{noun} {_format_shape(self.shape)}: a file; or an array in Python"


class MaskSignal(Signal):
    """Input with a mask ``[1, H, W]`` for inpainting, 1 for missing and 0 for known pixels.

    In an image file or an array of integers from 0 to 255, pixels of 128 or more are missing. In a floating-point or
    boolean array, values above 0.5 are missing.

    Examples:
        >>> from audiogan.inputs import MaskSignal
        >>> from audiogan.modalities import Image
        >>> MaskSignal("mask", shape=(1, 8, 8), modality=Image()).shape
        (1, 8, 8)
    """

    default_column = "mask"

    def parse(self, value: Any, *, any_size: bool = False) -> Tensor:
        limit = 0.0  # Images have the range -1 (black) to 1 (white).
        if isinstance(value, np.ndarray | Tensor):
            value = torch.as_tensor(value)
            value = value.float() if value.dtype == torch.bool else value
            limit = 0.5 if value.is_floating_point() else 0.0
        return (super().parse(value, any_size=any_size) > limit).float()

    def to_display(self, x: Any) -> Any:
        return 2 * x - 1

    def describe(self) -> str:
        kinds = "an image with white for missing pixels; or an array of 0 and 1 in Python"
        return f"mask {_format_shape(self.shape)}: {kinds}"


def _format_shape(shape: Sequence[int | None]) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in shape)}]"


def hash_tensors(values: Mapping[str, Tensor]) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of named tensors, for file names."""
    whole = hashlib.sha256()
    for name, x in sorted(values.items()):
        whole.update(name.encode() + np.ascontiguousarray(x.detach().cpu().numpy()).tobytes())
    return whole.hexdigest()[:12]
