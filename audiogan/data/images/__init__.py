"""Folders of images and pairs of images: reading and scanning."""
