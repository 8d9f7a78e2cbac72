"""Parts shared by networks that translate pictures: norms, initialisation, checks."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from audiogan.networks.dcgan import initialise

NORMS = ("batch", "instance", "none")


def norm2d(kind: str, channels: int) -> nn.Module:
    """Return a norm of pictures ``[B, channels, H, W]``.

    Args:
        kind: ``batch``; ``instance`` (each channel of each picture by its own mean and variance, without learned
            scales, the same in training and evaluation: Ulyanov et al. 2016); or ``none``.
        channels: number of channels.
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels) if kind == "instance" else nn.Identity()


def initialise_weights(network: nn.Module, norm: str) -> None:
    """Draw the weights of a network: N(0, 0.02), as pix2pix and CycleGAN have them.

    Without norms such weights would let signals fade out layer by layer; then weights are He et al.'s (ICCV 2015) for
    LeakyReLU 0.2, with fan-in counted in taps that an output really has.
    """
    network.apply(initialise if norm != "none" else _he)


def _he(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        taps = module.in_channels * prod(module.kernel_size)
        if isinstance(module, nn.ConvTranspose2d):
            taps //= prod(module.stride)
        nn.init.normal_(module.weight, std=(2 / (1 + 0.2**2) / taps) ** 0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def check_settings(network: nn.Module, shape: Sequence[int], source: Sequence[int | None], norm: str) -> None:
    """Check settings that all translators have.

    Raises:
        ValueError: a shape is not ``(C, H, W)``, height or width of the source is neither open nor that of the output,
            or the norm is not one of `NORMS`.
    """
    name = type(network).__name__
    if norm not in NORMS:
        raise ValueError(f"{name}: norm={norm!r} must be one of {', '.join(NORMS)}")
    for what, sizes in (("shape", shape), ("source", source)):
        if len(sizes) != 3:
            raise ValueError(f"{name}: {what}={tuple(sizes)} must be (channels, height, width)")
    if any(open_ not in (None, side) for open_, side in zip(source[1:], shape[1:], strict=True)):
        raise ValueError(f"{name}: source={tuple(source)} and shape={tuple(shape)} must agree in height and width")


def check_source(network: nn.Module, source: Tensor, channels: int, multiple: int, least: int = 1) -> None:
    """Raise `ValueError` unless `source` is ``[B, channels, H, W]`` with sides that are multiples, at least `least`."""
    name = type(network).__name__
    if source.dim() != 4 or source.shape[1] != channels:
        raise ValueError(f"{name} expected a source [B, {channels}, H, W], got {list(source.shape)}")
    height, width = source.shape[2:]
    if height % multiple or width % multiple or min(height, width) < least:
        limit = f" and at least {least}" if least > multiple else ""
        raise ValueError(f"{name}: a source of {height} x {width} does not fit; use multiples of {multiple}{limit}")


def with_latent(source: Tensor, latent: Tensor | None, latent_dim: int) -> Tensor:
    """Return a source ``[B, C, H, W]`` with latents ``[B, latent_dim]`` as further channels, equal at all pixels."""
    if not latent_dim:
        return source
    if latent is None or latent.shape != (len(source), latent_dim):
        given = "none" if latent is None else str(list(latent.shape))
        raise ValueError(f"expected latents {[len(source), latent_dim]}, got {given}")
    return torch.cat([source, latent[:, :, None, None].expand(-1, -1, *source.shape[2:])], dim=1)
