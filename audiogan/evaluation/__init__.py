"""Evaluation of a trained model against real data, for ``audiogan evaluate``."""
