"""Built-in synthetic data sets: a drum machine, drawn shapes, and points in the plane."""
