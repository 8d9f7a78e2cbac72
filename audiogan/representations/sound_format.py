"""The format of sounds: length, channels and sample rate as one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SoundFormat:
    """The format of sounds ``[B, channels, length]``.

    Attributes:
        length: number of samples.
        channels: number of channels.
        sample_rate: samples per second, in Hz.

    Raises:
        ValueError: a value is not a whole number of at least 1.

    Examples:
        >>> from audiogan.representations import SoundFormat
        >>> SoundFormat(length=16384, channels=2)
        SoundFormat(length=16384, channels=2, sample_rate=16000)
    """

    length: int
    channels: int = 1
    sample_rate: int = 16000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"SoundFormat {name}={value!r} must be a whole number of at least 1")

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one sound, ``(channels, length)``."""
        return self.channels, self.length
