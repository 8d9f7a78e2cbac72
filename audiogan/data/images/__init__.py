"""Image data sets: decode files, and scan folders of images and of image pairs."""
