"""Reading of sound and image files, including files with faulty headers, and analysis of recordings."""

from audiogan.modalities.reading.reader import RATES, SoundReader, Unreadable

__all__ = ["RATES", "SoundReader", "Unreadable"]
