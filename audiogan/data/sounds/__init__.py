"""Folders of sounds: reading, scanning, measuring."""
