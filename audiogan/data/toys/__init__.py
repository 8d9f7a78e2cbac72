"""Built-in data: a drum machine, drawn shapes, points in the plane."""
