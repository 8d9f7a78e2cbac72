"""Translate signals and files of any size with a generator that has a signal as an input."""
