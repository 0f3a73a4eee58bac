"""smug-recon: robust MRI reconstruction by smoothed unrolling (SMUG), as a node in the scanner's chain."""

__version__ = "0.1.0"
