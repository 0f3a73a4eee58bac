"""From a slice to its image: the model file and its guard, the network, and what stands in where it fails."""
