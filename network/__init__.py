"""The networks in pure torch: denoisers, MoDL unrolling, SMUG smoothing and its rivals."""

from smug_recon.network.smoothing import Plain, Smoothed, smoothing_noise
from smug_recon.network.unet import UNet
from smug_recon.network.unrolling import MoDL, Smug, Unrolled

__all__ = ["MoDL", "Plain", "Smoothed", "Smug", "UNet", "Unrolled", "smoothing_noise"]
