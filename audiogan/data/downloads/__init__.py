"""Downloads of public data sets: drum kits, spoken digits, and images in the format of MNIST."""
