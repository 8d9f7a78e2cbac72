"""Sound data sets: decode files, scan folders, and measure pitch and knobs (properties such as brightness)."""
