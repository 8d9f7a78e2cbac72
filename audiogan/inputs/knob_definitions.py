"""Constants in the definitions of knobs, for measurements of recordings and for knob losses."""

from __future__ import annotations

SPECTRUM_SECONDS = 0.064
"""Length of the Hann window of spectra, in seconds. Adjacent windows overlap by three quarters."""
ENVELOPE_SECONDS = 0.005
"""Length of the triangular window that smooths the envelope, in seconds."""
PITCH_SECONDS = 0.016
"""Time between two estimates of the pitch, in seconds."""
ONSET = 0.02
"""Level of the envelope at which a sound begins (onset), as a fraction of the envelope's peak."""
FALL_DB = 15.0
"""Drop in level at which the decay time ends, in decibels."""
LOWEST_HZ = 20.0
"""Smallest brightness, in hertz. Silence has this value."""
SHORTEST_SECONDS = 1e-4
"""Smallest attack time and decay time, in seconds. Silence has this value."""
FLATNESS_FLOOR_DB = -60.0
"""Smallest noisiness, in decibels. Silence has this value."""
