"""Analysis of latent space: encode recordings and pictures, walk, find similar sounds and interpretable directions,
and arrange sounds on a map."""

from __future__ import annotations

from audiogan.latents.directions import Direction, directions, edit
from audiogan.latents.encoding import Encoding, encode, nearest_distance
from audiogan.latents.layout import arrange
from audiogan.latents.near import Neighbour, neighbours
from audiogan.latents.walking import walk, write_walk
from audiogan.losses.spectra import log_spectral_distance

__all__ = [
    "Direction",
    "Encoding",
    "Neighbour",
    "arrange",
    "directions",
    "edit",
    "encode",
    "log_spectral_distance",
    "nearest_distance",
    "neighbours",
    "walk",
    "write_walk",
]
