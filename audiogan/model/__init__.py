"""Trained models: loading, sampling, translation and export."""
