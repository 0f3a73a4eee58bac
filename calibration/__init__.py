"""What is known before the network: noise covariance, calibration region, coil sensitivity maps (ESPIRiT)."""

from smug_recon.calibration.espirit import espirit_maps

__all__ = ["espirit_maps"]
