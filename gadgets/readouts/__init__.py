"""Readouts on their way to slices: whitened, transformed along the readout, gathered, assembled."""
