from __future__ import annotations

import pytest
import torch

from audiogan.networks.frame_blocks import LinearDoubling, TransposedDoubling, initial_positions


def test_a_transposed_doubling_is_a_transposed_convolution() -> None:
    torch.manual_seed(0)
    doubling, conv = TransposedDoubling(6, 9), torch.nn.ConvTranspose1d(6, 6, 4, 2, 1)
    w = conv.weight.detach().transpose(0, 1)  # [to, from, tap]
    before, after = torch.cat([w[..., 2], w[..., 0]], 1), torch.cat([w[..., 3], w[..., 1]], 1)
    doubling.dense.load_state_dict({"weight": torch.cat([before, after]), "bias": conv.bias.detach().repeat(2)})
    x = torch.randn(3, 9, 6)
    assert (doubling(x) - conv(x.transpose(1, 2)).transpose(1, 2)).abs().max() < 1e-6


def test_a_linear_doubling_is_linear_interpolation_of_a_dense_layer() -> None:
    torch.manual_seed(0)
    doubling, x = LinearDoubling(6, 9), torch.randn(3, 9, 6)
    expected = torch.nn.functional.interpolate(doubling.dense(x).transpose(1, 2), scale_factor=2, mode="linear")
    assert (doubling(x) - expected.transpose(1, 2)).abs().max() < 1e-6


@pytest.mark.parametrize(("kind", "patterned"), [(LinearDoubling, False), (TransposedDoubling, True)])
def test_what_does_not_move_stays_so_in_a_linear_doubling_only(kind: type[torch.nn.Module], patterned: bool) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(kind(16, 8), torch.nn.LeakyReLU(0.2), kind(16, 16))
    inside = net(torch.randn(1, 1, 16).expand(1, 8, 16))[:, 8:-8]
    assert (inside.diff(dim=1).abs().max() > 0.1) == patterned
    assert patterned or inside.diff(dim=1).abs().max() < 1e-6


@pytest.mark.parametrize("count", [1, 2, 65, 700])
def test_positions_are_smooth_and_tell_frames_apart(count: int) -> None:
    torch.manual_seed(0)
    x = initial_positions(count, 128)[0]
    assert x.shape == (count, 128) and x.isfinite().all() and x.abs().max() <= 0.14
    if count > 8:
        # For independent numbers in each frame, the ratio is 2.
        assert x[8:].diff(dim=0).square().mean() < 0.2 * x.var()
        apart = torch.cdist(x, x) + 9 * torch.eye(count)
        assert apart.min() > 0.001
