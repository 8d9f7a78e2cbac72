"""Read sound files of all kinds, also those with faulty headers, and judge what is in them."""

from audiogan.modalities.reading.reader import RATES, SoundReader, Unreadable

__all__ = ["RATES", "SoundReader", "Unreadable"]
