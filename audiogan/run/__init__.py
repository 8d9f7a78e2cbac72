"""Training runs: configuration, run folder, callbacks, report."""
