"""Sound data sets: decode files, scan folders, and measure knobs and pitch."""
