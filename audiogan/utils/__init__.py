"""Helpers for text, terminal output, progress bars, ZIP archives and worker threads."""
