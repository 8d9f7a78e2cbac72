"""Helpers without PyTorch modules: text, terminal output, progress, archives, worker threads."""
