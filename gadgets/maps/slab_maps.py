"""The coil maps of a slab sampled in (ky, kz): one set for every position along the readout, in a common phase."""

from __future__ import annotations

import torch
from torch import Tensor

from smug_recon.calibration.reference import principal_coil
from smug_recon.gadgets.flow.items import Volume
from smug_recon.gadgets.flow.kinds import COIL_MAPS, Failure
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.maps.calibration_box import (
    Box,
    calibration_box,
    low_resolution_maps_at,
    maps_at,
    one_phase,
)
from smug_recon.gadgets.maps.coils import TOO_FEW, check_finite
from smug_recon.gadgets.model.reasons import short


class MapsOf:
    """The coil maps of a slab, made for the positions that are asked for."""

    def __init__(self, volume: Volume, slab_czyx: Tensor, plan: Plan, report: Report) -> None:
        self.notes: list[str] = []
        self.settings = plan.pipeline.coil_maps
        self.noise_level = 1.0 if volume.whitened else 0.0
        self.shape_yz = (plan.lines_y, volume.lines_z)
        mask_n = volume.mask_y
        self.source_czyx = slab_czyx
        if volume.calibration_cyx is not None and volume.calibration_mask_y is not None:
            mask_n = volume.calibration_mask_y
            self.source_czyx = volume.calibration_cyx.reshape(slab_czyx.shape)
        self.mask_zy = mask_n.reshape(volume.lines_z, plan.lines_y)
        self.box: Box | None = calibration_box(self.mask_zy, self.settings.calibration_width)
        if slab_czyx.shape[0] > 1 and self.box is None:
            self.notes.append(f"coil maps from low-resolution images: {TOO_FEW.reason}")
            report.count_fallback(TOO_FEW)
            report.warn(f"{TOO_FEW.reason}: coil maps from low-resolution images")
        self._reference_c: Tensor | None = None

    def at(self, columns: slice, kspace_xcyz: Tensor) -> Tensor | Failure:
        """Return ``maps_xcyz`` of some positions, or why there are none."""
        try:
            maps_xcyz = self._estimate(columns, kspace_xcyz)
            check_finite(maps_xcyz)
        except Exception as error:  # of the libraries underneath: these positions do without maps
            return Failure(f"the coil maps failed: {short(error)}", COIL_MAPS)
        return maps_xcyz

    def _estimate(self, columns: slice, kspace_xcyz: Tensor) -> Tensor:
        if kspace_xcyz.shape[1] == 1:
            return torch.ones_like(kspace_xcyz)
        if self._reference_c is None:
            self._reference_c = principal_coil(self._block(slice(None)).flatten(1))
        if self.box is None:
            own_xcyz = self.source_czyx[..., columns].permute(3, 0, 2, 1)
            maps_xcyz = low_resolution_maps_at(own_xcyz, self.mask_zy.T)
        else:
            block_xcyz = self._block(columns).permute(3, 0, 2, 1).contiguous()
            maps_xcyz = maps_at(block_xcyz, self.shape_yz, self.settings, self.noise_level)
        return one_phase(maps_xcyz, self._reference_c)

    def _block(self, columns: slice) -> Tensor:
        """The calibration samples ``(c, kz, ky, x)`` of some positions."""
        lines_z, lines_y = self.mask_zy.shape
        if self.box is not None:
            (z0, z1), (y0, y1) = self.box
        else:
            z0, z1 = max(0, lines_z // 2 - 4), lines_z // 2 + 4
            y0, y1 = max(0, lines_y // 2 - 4), lines_y // 2 + 4
        return self.source_czyx[:, z0:z1, y0:y1, columns]
