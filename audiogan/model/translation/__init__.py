"""Translation of signals and files of any size by generators with a signal input."""
