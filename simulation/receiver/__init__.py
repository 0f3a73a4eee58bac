"""What the receive array sees: slices with their phase, sensitivities, k-space, noise."""
