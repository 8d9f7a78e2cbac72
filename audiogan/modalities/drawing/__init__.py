"""Pictures of signals: spectrograms, contact sheets, PNG files."""
