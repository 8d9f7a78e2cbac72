"""Norms, initialisation and checks shared by networks for image translation."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from audiogan.networks.dcgan import init_dcgan

NORMS = ("batch", "instance", "none")


def norm2d(norm: str, channels: int) -> nn.Module:
    """Return a normalisation layer for feature maps ``[B, channels, H, W]``.

    Args:
        norm: ``batch``; ``instance``, without learned parameters and running statistics (Ulyanov et al. 2016); or
            ``none``, the identity.
        channels: number of channels.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels) if norm == "instance" else nn.Identity()


def init_translation_weights(network: nn.Module, norm: str) -> None:
    """Initialise a network: weights from N(0, 0.02), as in pix2pix and CycleGAN, or He initialisation without norms.

    Without norms, weights from N(0, 0.02) would make activations vanish. He initialisation (ICCV 2015) is used for
    LeakyReLU 0.2. The fan-in of a transposed convolution is divided by its strides along height and width, because each
    output depends on fewer inputs.

    Args:
        network: the network.
        norm: normalisation of the network, ``batch``, ``instance`` or ``none``.
    """
    network.apply(init_dcgan if norm != "none" else _init_he)


def _init_he(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        taps = module.in_channels * prod(module.kernel_size)
        if isinstance(module, nn.ConvTranspose2d):
            taps //= prod(module.stride)
        nn.init.normal_(module.weight, std=(2 / (1 + 0.2**2) / taps) ** 0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def check_settings(network: nn.Module, shape: Sequence[int], source: Sequence[int | None], norm: str) -> None:
    """Check the arguments that all image translation networks share.

    Args:
        network: the network, for error messages.
        shape: shape ``(C, H, W)`` of the output.
        source: shape ``(C', H, W)`` of the source. Height and width may be ``None``.
        norm: normalisation of the network.

    Raises:
        ValueError: A shape does not have three elements, the source and the output differ in size, or the norm is not
            ``batch``, ``instance`` or ``none``.
    """
    name = type(network).__name__
    if norm not in NORMS:
        raise ValueError(f"{name}: norm={norm!r} must be one of {', '.join(NORMS)}")
    for key, sizes in (("shape", shape), ("source", source)):
        if len(sizes) != 3:
            raise ValueError(f"{name}: {key}={tuple(sizes)} must be (channels, height, width)")
    if any(open_ not in (None, side) for open_, side in zip(source[1:], shape[1:], strict=True)):
        raise ValueError(f"{name}: source={tuple(source)} and shape={tuple(shape)} must agree in height and width")


def check_source(network: nn.Module, source: Tensor, channels: int, multiple: int, min_side: int = 1) -> None:
    """Raise `ValueError` if a batch of source images has the wrong shape.

    Args:
        network: the network, for error messages.
        source: source images, which must be ``[B, channels, H, W]``.
        channels: number of channels.
        multiple: H and W must be multiples of this number of pixels.
        min_side: smallest H and W, in pixels.
    """
    name = type(network).__name__
    if source.dim() != 4 or source.shape[1] != channels:
        raise ValueError(f"{name} expected a source [B, {channels}, H, W], got {list(source.shape)}")
    height, width = source.shape[2:]
    if height % multiple or width % multiple or min(height, width) < min_side:
        limit = f" and at least {min_side}" if min_side > multiple else ""
        raise ValueError(f"{name}: a source of {height} x {width} does not fit; use multiples of {multiple}{limit}")


def join_latent(source: Tensor, latent: Tensor | None, latent_dim: int) -> Tensor:
    """Return source images ``[B, C, H, W]`` concatenated with latents ``[B, latent_dim]``, repeated at every pixel."""
    if not latent_dim:
        return source
    if latent is None or latent.shape != (len(source), latent_dim):
        given = "none" if latent is None else str(list(latent.shape))
        raise ValueError(f"expected latents {[len(source), latent_dim]}, got {given}")
    return torch.cat([source, latent[:, :, None, None].expand(-1, -1, *source.shape[2:])], dim=1)
