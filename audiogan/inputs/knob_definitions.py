"""Constants in the definitions of the knobs, shared by measurements and losses."""

from __future__ import annotations

SPECTRUM_SECONDS = 0.064
"""Length of a window of the spectra (Hann, overlap of three quarters)."""
ENVELOPE_SECONDS = 0.005
"""Length of the triangular window of the envelope."""
PITCH_SECONDS = 0.016
"""Time from one estimate of the pitch to the next."""
ONSET = 0.02
"""A sound begins where its envelope first exceeds this share of the peak."""
FALL_DB = 15.0
"""Fall of the level in the decay time."""
LOWEST_HZ = 20.0
"""Smallest brightness; silence has it."""
SHORTEST_SECONDS = 1e-4
"""Smallest attack and decay time; silence has it."""
FLATNESS_FLOOR_DB = -60.0
"""Smallest noisiness; silence has it."""
