"""What is measured: clean slices, noise, attacks, lesions, bounds, and the metrics."""
