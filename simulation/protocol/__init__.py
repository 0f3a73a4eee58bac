"""What is asked of the scanner: settings, slices, sizes, sampling masks, the order of the readouts, what changes meanwhile."""
