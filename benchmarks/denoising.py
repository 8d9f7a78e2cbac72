"""Compare denoising models with a Gaussian blur and with non-local means, for the table in docs/systems/denoise.md.

    python benchmarks/denoising.py FOLDER --runs gan=runs/denoise l1=runs/denoise-l1

FOLDER is the folder of photographs on which the runs were trained. The script uses whole held-out photographs, and
Gaussian noise with a fixed seed. With ``--apart OTHER_FOLDER``, it uses photographs from another folder. Each run with
a first stage gives three rows: the weights at the end of the first stage, the final weights, and their mean.

The script prints one table for noise that is not clipped, as in the literature, and with ``--eight-bit`` for noisy
images that are rounded to 8 bits, as in image files. The columns are the PSNR in dB (mean over photographs), the SSIM,
the high-band energy and the Fréchet distance of patches. The high-band energy is the mean square of an image minus its
Gaussian blur (standard deviation 1 pixel), divided by the same number for the clean images. 1 is ideal; blurred images
have less, and noisy images more.

The standard deviation of the blur and the parameters of non-local means are those with the highest PSNR on training
photographs at the same noise level. Non-local means is implemented in this file.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

import audiogan
from audiogan.data import open_photos
from audiogan.errors import UserError
from audiogan.features.patches import Patches
from audiogan.metrics import embed
from audiogan.metrics.distances import frechet_distance
from audiogan.modalities import Image
from audiogan.modalities.references import ssim

PATCHES, STRENGTHS = (3, 5, 7), (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Patch widths in pixels, and filter strengths h as multiples of the noise level, of which the best are used."""
BLURS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0)
"""Standard deviations of the Gaussian blur in pixels, of which the best is used."""


def blur(x: Tensor, std: float) -> Tensor:
    """Return images ``[N, C, H, W]`` blurred with a Gaussian of the standard deviation ``std`` in pixels."""
    return torch.from_numpy(gaussian_filter(x.numpy(), (0, 0, std, std), mode="reflect"))


def non_local_means(x: Tensor, std: float, patch: int, search: int, strength: float) -> Tensor:
    """Return images ``[N, C, H, W]`` denoised with non-local means.

    A pixel becomes the weighted mean of the pixels in a square around it. The weight of a pixel depends on the mean
    squared distance ``d`` between the patches around both pixels, over all channels: exp(-max(d - 2 std^2, 0) / h^2).
    The pixel itself has the weight 1.

    Args:
        x: noisy images.
        std: standard deviation of the noise, in the units of ``x``.
        patch: width of a patch in pixels, odd.
        search: width of the square in pixels, odd; 21 in the source.
        strength: h, as a multiple of ``std``.

    Source: Buades, Coll & Morel, "Non-local means denoising", Image Processing On Line 1, 2011, pixelwise algorithm.
    """
    reach, margin = search // 2, patch // 2
    height, width = x.shape[-2:]
    far = F.pad(x, [reach + margin] * 4, mode="reflect")
    own = far[..., reach : reach + height + 2 * margin, reach : reach + width + 2 * margin]
    total, weights = torch.zeros_like(x), torch.zeros_like(x[:, :1])
    for dy, dx in itertools.product(range(search), repeat=2):
        other = far[..., dy : dy + height + 2 * margin, dx : dx + width + 2 * margin]
        distance = F.avg_pool2d((own - other).square().mean(1, keepdim=True), patch, 1)
        weight = torch.exp(-(distance - 2 * std**2).clamp_min(0) / (strength * std) ** 2)
        total += weight * other[..., margin : margin + height, margin : margin + width]
        weights += weight
    return total / weights


def psnr(x: Tensor, clean: Tensor) -> float:
    """Return the PSNR in dB of images in -1 ... 1, averaged over images."""
    error = (x.double() - clean.double()).square().mean((1, 2, 3))
    return float((10 * torch.log10(4 / error)).mean())


def add_noise(x: Tensor, level: float, eight_bit: bool, seed: int) -> Tensor:
    """Return images with Gaussian noise, clipped and rounded to 8 bits if requested.

    ``level`` is the standard deviation of the noise for pixel values from 0 to 255.
    """
    noisy = x + level / 127.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return noisy.add(1).mul(127.5).round().clamp(0, 255).div(127.5).sub(1) if eight_bit else noisy


def high_band(x: Tensor) -> float:
    """Return the mean square of images minus their Gaussian blur."""
    return float((x - blur(x, 1.0)).square().mean())


def patch_features(x: Tensor, patches: Patches) -> np.ndarray:
    """Return the features of all patches of a batch of images, ``[M, D]``."""
    features = embed(x, patches)
    return features.reshape(-1, features.shape[-1])


def load_models(runs: list[str]) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return denoising functions by row heading, for arguments such as ``gan=runs/denoise``."""
    found: dict[str, Callable[[Tensor], Tensor]] = {}

    def add(name: str, run: str, strength: float | None) -> None:
        game = audiogan.load(run, strength=strength).game
        found[name] = lambda x: torch.cat([game.generate({"source": part}) for part in x.split(8)])

    for argument in runs:
        name, _, run = argument.rpartition("=")
        name = name or run
        try:
            add(f"{name}, first stage", run, 0.0)
        except UserError:
            add(name, run, None)
        else:
            add(f"{name}, strength 0.5", run, 0.5)
            add(name, run, 1.0)
    return found


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--runs", nargs="*", default=[], metavar="NAME=RUN")
    parser.add_argument("--apart", help="folder of other photographs to denoise")
    parser.add_argument(
        "--levels", default="25", help="noise levels for pixel values from 0 to 255, separated by commas"
    )
    parser.add_argument("--eight-bit", action="store_true", help="clip and round noisy images to 8 bits")
    parser.add_argument("--size", type=int, default=128, help="side of the photographs in pixels")
    parser.add_argument("--holdout", type=float, default=0.1, help="data.holdout of the runs")
    parser.add_argument(
        "--search", type=int, default=21, help="width in pixels of the square that non-local means searches"
    )
    parser.add_argument("-n", type=int, default=100, help="largest number of photographs")
    parser.add_argument("--picture", help="PNG file for a few photographs at the first noise level")
    parser.add_argument("--show", default="0,1,2,3,4,5", help="indices of the photographs in the picture")
    parser.add_argument("--models-only", action="store_true", help="leave out the blur and non-local means")
    args = parser.parse_args()
    train, held_out = open_photos(args.folder, args.size, 1).split(args.holdout)
    if args.apart:
        held_out = open_photos(args.apart, args.size, 1)
    places = np.random.default_rng(0).permutation(len(held_out))[: args.n]
    clean = held_out.signals(np.sort(places))
    known = train.signals(np.random.default_rng(1).permutation(len(train))[:8])
    models, patches = load_models(args.runs), Patches(clean.shape[1:])
    features = patch_features(clean, patches)
    print(f"{len(clean)} photographs of {args.size} x {args.size} pixels from {args.apart or args.folder}")
    for i, level in enumerate(map(float, args.levels.split(","))):
        std = level / 127.5
        noisy = add_noise(clean, level, args.eight_bit, 1)
        tuned = add_noise(known, level, args.eight_bit, 2)
        rows: dict[str, Callable[[Tensor], Tensor]] = {"noisy": lambda x: x}
        if not args.models_only:
            best_blur = max(BLURS, key=lambda s: psnr(blur(tuned, s), known))
            patch, h = max(
                itertools.product(PATCHES, STRENGTHS),
                key=lambda p: psnr(non_local_means(tuned, std, p[0], args.search, p[1]), known),
            )
            rows[f"Gaussian blur, {best_blur:g} px"] = lambda x, s=best_blur: blur(x, s)  # type: ignore[misc]
            rows[f"non-local means, patch {patch}, search {args.search}, h {h:g} sigma"] = (
                lambda x, p=patch, h=h, std=std: torch.cat(  # type: ignore[misc]
                    [non_local_means(part, std, p, args.search, h) for part in x.split(16)]
                )
            )
        rows |= models
        print(f"\nsigma {level:g}, noise {'rounded to 8 bits' if args.eight_bit else 'not clipped'}")
        print("| | PSNR, dB | SSIM | high-band energy | Fréchet, patches | CPU s |")
        print("|---|---|---|---|---|---|")
        shown = {"clean": clean}
        for name, denoise in rows.items():
            before = time.process_time()
            out = denoise(noisy)
            seconds = time.process_time() - before
            shown[name.split(",")[0] if name not in models else name] = out
            out = out if name == "noisy" else out.clamp(-1, 1)
            scores = [psnr(out, clean), ssim(out.numpy(), clean.numpy()), high_band(out) / high_band(clean)]
            scores.append(frechet_distance(patch_features(out.clamp(-1, 1), patches), features))
            print(
                f"| {name} | {' | '.join(f'{score:.3g}' if score < 10 else f'{score:.2f}' for score in scores)} ",
                end="",
            )
            print(f"| {seconds:.1f} |", flush=True)
        if args.picture and not i:
            at = [int(place) for place in args.show.split(",")]
            keep = [name for name in shown if name != "clean" and "0.5" not in name and name != "Gaussian blur"]
            columns = {name: shown[name][at].clamp(-1, 1).numpy() for name in [*keep, "clean"]}
            Image().draw_columns(args.picture, columns)


if __name__ == "__main__":
    main()
