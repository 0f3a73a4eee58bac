"""Coil maps of a slice or slab: which calibration lines serve, ESPIRiT on them, made ahead where that is safe."""
