"""From a slice to its image: the network, and what stands in where it fails."""
