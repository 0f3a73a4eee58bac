"""3-D scans: a slab becomes slices where every line has the same partitions, else images, position by position."""
