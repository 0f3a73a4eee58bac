"""What is known before the network: noise covariance, calibration region, coil sensitivity maps (ESPIRiT)."""

from smug_recon.calibration.espirit import espirit_maps
from smug_recon.calibration.noise import dead_channels, noise_covariance, noise_scale, whitening_matrix
from smug_recon.calibration.region import calibration_block, calibration_lines

__all__ = [
    "calibration_block",
    "calibration_lines",
    "dead_channels",
    "espirit_maps",
    "noise_covariance",
    "noise_scale",
    "whitening_matrix",
]
