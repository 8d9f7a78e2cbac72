"""Image data sets: decode image files, and scan (list and decode) whole folders of images or image pairs."""
