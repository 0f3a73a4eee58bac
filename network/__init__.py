"""The networks in pure torch: denoisers, MoDL unrolling, SMUG smoothing and its rivals."""

from smug_recon.network.build import build_denoiser, build_network
from smug_recon.network.didn import Didn, load_reference
from smug_recon.network.end_to_end import RsE2E
from smug_recon.network.smoothing import Plain, Smoothed, smoothing_noise
from smug_recon.network.unet import UNet
from smug_recon.network.unrolling import MoDL, Smug, Unrolled
from smug_recon.network.weighting import WeightedSmug, WeightEncoder

__all__ = [
    "Didn",
    "MoDL",
    "Plain",
    "RsE2E",
    "Smoothed",
    "Smug",
    "UNet",
    "Unrolled",
    "WeightEncoder",
    "WeightedSmug",
    "build_denoiser",
    "build_network",
    "load_reference",
    "smoothing_noise",
]
