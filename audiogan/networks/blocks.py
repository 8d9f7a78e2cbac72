"""What WaveGAN and SpecGAN share: convolutions with TensorFlow's SAME padding, their initialisation, checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


def same_padding(kernel: int, stride: int) -> tuple[int, int]:
    """Zeros left and right that TensorFlow's SAME adds where the length is a multiple of the stride."""
    total = max(kernel - stride, 0)
    return total // 2, total - total // 2


class SameConv1d(nn.Conv1d):
    """`[B, C, L]` -> `[B, C', L / stride]` with TensorFlow's SAME padding; L must be a multiple of the stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, groups: int = 1, bias: bool = True):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=bias)
        self.same = same_padding(kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.same))


class SameConv2d(nn.Conv2d):
    """`[B, C, F, N]` -> `[B, C', F / stride, N / stride]`, square kernels, as SameConv1d."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__(inputs, outputs, kernel, stride)
        self.same = same_padding(kernel, stride) * 2

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.same))


class SameConvTranspose1d(nn.ConvTranspose1d):
    """`[B, C, L]` -> `[B, C', stride * L]`: the exact transpose of SameConv1d, hence TensorFlow's.

    SAME crops unequally. Cropping the left amount on both sides and cutting the end is exact; the usual port,
    `padding=11, output_padding=1`, is one sample late.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=same_padding(kernel, stride)[0])

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x)[..., : x.shape[-1] * self.stride[0]]


class SameConvTranspose2d(nn.ConvTranspose2d):
    """`[B, C, F, N]` -> `[B, C', stride * F, stride * N]`, square kernels, as SameConvTranspose1d."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=same_padding(kernel, stride)[0])

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        rows, columns = x.shape[-2] * self.stride[0], x.shape[-1] * self.stride[1]
        return super().forward(x)[..., :rows, :columns]


class ClassFiLM(nn.Module):
    """Scales and shifts each channel by class: what class weights `[B, classes]` say of `[B, channels, ...]`.

    FiLM (Perez et al., AAAI 2018, section 2) with class weights as its only input; mixtures of classes lie between. It
    begins with shifts of about one tenth, so that classes differ from the first step on.
    """

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Linear(classes, 2 * channels, bias=False)
        nn.init.normal_(self.affine.weight, std=0.1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.affine(condition)[(...,) + (None,) * (x.dim() - 2)].chunk(2, dim=1)
        return torch.addcmul(shift, x, 1 + scale)


def check_condition(network: nn.Module, condition: Tensor | None) -> None:
    """ValueError unless there is a condition, of the right size, for just those networks that know classes or knobs."""
    classes, knobs = cast(int, network.classes), cast(int, getattr(network, "knobs", 0))
    given = "missing" if condition is None else "given"
    if (condition is None) == bool(classes + knobs):
        more = f" and {knobs} knobs" if knobs else ""
        raise ValueError(f"{type(network).__name__} knows {classes} classes{more}, but the condition is {given}")
    if condition is not None and condition.shape[1:] != (classes + knobs,):
        expected = f"[B, {classes + knobs}]"
        raise ValueError(f"{type(network).__name__} expected a condition {expected}, got {list(condition.shape)}")


def glorot(network: nn.Module) -> None:
    """Glorot uniform weights and zero biases, TensorFlow's default, in every convolution and dense layer."""
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def normalise_spectra(network: nn.Module) -> None:
    """Miyato et al. 2018: divide the weight of every convolution and dense layer by its largest singular value."""
    for module in list(network.modules()):
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            spectral_norm(module)


def minibatch_deviation(x: Tensor, condition: Tensor | None = None, group: int = 4) -> Tensor:
    """``[B, 1, H, W]``: the mean standard deviation within groups of the batch (Karras et al., ICLR 2018, section 3).

    With class weights ``[B, classes]`` the groups are of one class, as far as the batch has enough of it: among
    pictures of different classes nobody would see that each class is always the same picture.
    """
    b, _, h, w = x.shape
    g = next(g for g in range(min(group, b), 0, -1) if b % g == 0)
    if condition is None:
        groups = x.reshape(g, b // g, -1).transpose(0, 1)  # strided, as the paper's code has them
    else:
        order = condition.argmax(1).argsort(stable=True)
        groups = x[order].reshape(b // g, g, -1)
    # The floor keeps the root's derivative finite.
    spread = ((groups - groups.mean(1, keepdim=True)).square().mean(1) + 1e-8).sqrt().mean(1)
    spread = spread.repeat(g) if condition is None else spread.repeat_interleave(g)[order.argsort()]
    return spread.view(b, 1, 1, 1).expand(b, 1, h, w)


def check_input(network: nn.Module, x: Tensor, shape: Sequence[int], condition: Tensor | None) -> None:
    """ValueError unless x is `[B, *shape]` and, for a network without classes, there is no condition."""
    name = type(network).__name__
    if x.dim() != len(shape) + 1 or tuple(x.shape[1:]) != tuple(shape):
        raise ValueError(f"{name} expected [B, {', '.join(map(str, shape))}], got {list(x.shape)}")
    if condition is not None and not cast(int, network.classes):
        raise ValueError(f"{name} is unconditional, got a condition of shape {list(condition.shape)}")


def check_sizes(network: nn.Module, **sizes: int) -> None:
    """ValueError that names every size below 1."""
    wrong = [f"{name}={value}" for name, value in sizes.items() if value < 1]
    if wrong:
        raise ValueError(f"{type(network).__name__}: {', '.join(wrong)} must be at least 1")
