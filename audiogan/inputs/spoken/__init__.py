"""Pronunciation of English and German texts: numbers and abbreviations, letter-to-sound rules, and a dictionary."""

from __future__ import annotations

from audiogan.inputs.spoken.pronounce import LANGUAGES, LONGEST_TEXT, SYMBOLS, check_text, pronounce

__all__ = ["LANGUAGES", "LONGEST_TEXT", "SYMBOLS", "check_text", "pronounce"]
