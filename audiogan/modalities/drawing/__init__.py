"""Drawing of signals as PNG files: spectrograms and contact sheets."""
