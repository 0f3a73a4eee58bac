"""A fully sampled slice with its true coil maps."""

from __future__ import annotations

import ismrmrd
import numpy as np
import torch
from small_scan import LINES_Y, READOUT_X, SAMPLES_X, centred_fft, coil_images

from smug_recon.gadgets.flow.items import Slice, SliceKey


def full_slice() -> tuple[Slice, torch.Tensor]:
    """Return a fully sampled slice with true maps, and its true image."""
    crop = slice(SAMPLES_X // 2 - READOUT_X // 2, SAMPLES_X // 2 + READOUT_X // 2)
    images_cyx = torch.from_numpy(coil_images()[:, :, crop])
    norm_yx = images_cyx.abs().square().sum(0).sqrt()
    maps_cyx = images_cyx / norm_yx.clamp_min(1e-9)
    hybrid_cyx = torch.from_numpy(centred_fft(images_cyx.numpy(), (1,)).astype(np.complex64))
    lines = torch.ones(LINES_Y, dtype=torch.bool)
    item = Slice(
        SliceKey(0, 0, 0, 0, 0), ismrmrd.AcquisitionHeader(), hybrid_cyx, lines, lines, 5.0, notes=["a note"]
    )
    item.maps_cyx, item.lines = maps_cyx, LINES_Y
    return item, norm_yx
