"""The external reference scan of a 3-D scan: the full box about its k-space centre, regridded to the slab by the Fourier sum."""

from __future__ import annotations

import torch
from torch import Tensor

from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.maps.calibration_box import calibration_box
from smug_recon.gadgets.maps.reference_lines import Grid, ReferenceLines, Space, readout_waves, stacked
from smug_recon.gadgets.maps.regrid import image_waves, reach
from smug_recon.physics import fft_centred


def calibration_of_slab(
    lines: ReferenceLines, space: Space, grid: Grid, report: Report
) -> tuple[Tensor, Tensor] | None:
    """Return ``(calibration_cnx, mask_n)`` of reference lines on the grid (z, y) of a slab, None if they hold no full box.

    Raises:
        DataError: samples outside their encoded matrix.
    """
    places, kspace_cnx = stacked(lines, space)
    box = box_of(places)
    if box is None:
        report.warn("a reference scan without a fully sampled box about the k-space centre is not used")
        return None
    (z0, z1), (y0, y1) = box
    at = {place: number for number, place in enumerate(places)}
    chosen = [at[z, y] for z in range(z0, z1) for y in range(y0, y1)]
    (axis_z, axis_y, axis_x), (shift_z, shift_y, shift_x) = grid.axes_zyx, grid.shift_zyx_mm
    waves_zk = image_waves(torch.arange(z0, z1), space.thickness_mm, axis_z, shift_z)
    waves_yj = image_waves(torch.arange(y0, y1), space.fov_y_mm, axis_y, shift_y)
    waves_xi = readout_waves(lines, space, axis_x, shift_x)
    mask_zy = torch.zeros((axis_z.size, axis_y.size), dtype=torch.bool)
    span_z = reach(z0, z1 - 1, space.thickness_mm, axis_z)
    span_y = reach(y0, y1 - 1, space.fov_y_mm, axis_y)
    mask_zy[slice(*span_z), slice(*span_y)] = True
    mask_n = mask_zy.flatten()
    coils = []
    for coil_nx in kspace_cnx[:, chosen]:
        coil_zyx = coil_nx.reshape(z1 - z0, y1 - y0, -1) @ waves_xi
        image_zyx = torch.einsum("zyi,yj,zk->kji", coil_zyx, waves_yj, waves_zk)
        coils.append(fft_centred(image_zyx, [0, 1]).flatten(0, 1) * mask_n[:, None])
    return torch.stack(coils), mask_n


def box_of(places: list[tuple[int, int]]) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return ``(start, stop)`` along z and y of the fully sampled box about (0, 0), None where it is too small."""
    half_z, half_y = (max(abs(value) for value in values) + 1 for values in zip(*places, strict=True))
    mask_zy = torch.zeros((2 * half_z, 2 * half_y), dtype=torch.bool)
    for z, y in places:
        mask_zy[z + half_z, y + half_y] = True
    box = calibration_box(mask_zy, 2 * max(half_z, half_y))
    if box is None:
        return None
    (z0, z1), (y0, y1) = box
    return (z0 - half_z, z1 - half_z), (y0 - half_y, y1 - half_y)
