"""What a scanner would send: head phantom, coil arrays, sampling masks, noise, raw scans with known truth."""
