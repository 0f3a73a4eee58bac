"""One application of A^H A: two-dimensional with all shifts, two-dimensional, one-dimensional, one-dimensional in blocks."""

from __future__ import annotations

import torch

from smug_recon.benchmarks.authors import normal
from smug_recon.benchmarks.interleave import interleave
from smug_recon.benchmarks.machine import machine
from smug_recon.benchmarks.record import Result, speed_row
from smug_recon.benchmarks.scene import inputs, relative
from smug_recon.benchmarks.sizes import Size
from smug_recon.physics.columns import columns_first, normal_columns
from smug_recon.physics.sense import normal_operator

CENTRED, FLAT, LINES, BLOCKS = "2-D with shifts", "2-D", "1-D", "1-D in blocks"


@torch.inference_mode()
def run(size: Size) -> Result:
    """Measure at a size."""
    _, maps_bcyx, mask_by = inputs(size)
    mask_byx = mask_by[:, :, None].expand(-1, -1, maps_bcyx.shape[-1]).contiguous()
    image_byx = torch.randn(
        maps_bcyx[:, 0].shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0)
    )
    start_byx, around_bcyx = (torch.fft.ifftshift(value, dim=(-2, -1)) for value in (image_byx, maps_bcyx))
    flat_bcyx = torch.fft.ifftshift(mask_byx, dim=(-2, -1))[:, None]
    lines_bcyx = torch.fft.ifftshift(mask_by, dim=-1)[:, None, :, None]
    image_bxy, maps_bxcy = columns_first(start_byx), columns_first(around_bcyx)
    mask_sy = torch.fft.ifftshift(mask_by, dim=-1)
    cases = {
        CENTRED: lambda: normal(image_byx, maps_bcyx, mask_byx) - image_byx,
        FLAT: lambda: normal_operator(start_byx, around_bcyx, flat_bcyx, [-2, -1]),
        LINES: lambda: normal_operator(start_byx, around_bcyx, lines_bcyx, [-2]),
        BLOCKS: lambda: normal_columns(image_bxy, maps_bxcy, mask_sy),
    }
    times, found = interleave(cases, size.many, warm_up=2)
    # The one-dimensional forms act on columns of the image: in full shifts of x nothing changes but the place.
    truth = torch.fft.ifftshift(found[CENTRED], dim=(-2, -1))
    same = {
        FLAT: relative(found[FLAT], truth),
        LINES: relative(found[LINES], truth),
        BLOCKS: relative(found[BLOCKS].mT, truth),
    }
    rows = [
        speed_row(
            f"{FLAT} against {CENTRED}", times, CENTRED, FLAT, accuracy={"relative difference": same[FLAT]}
        ),
        speed_row(
            f"{LINES} against {FLAT}", times, FLAT, LINES, accuracy={"relative difference": same[LINES]}
        ),
        speed_row(
            f"{BLOCKS} against {FLAT}",
            times,
            FLAT,
            BLOCKS,
            2.0,
            accuracy={"relative difference": same[BLOCKS]},
        ),
    ]
    about = f"A^H A once, {size.coils} coils, {size.matrix_yx[0]}x{size.matrix_yx[1]}, mask of ky alone."
    return Result("data-consistency", size.name, about, machine(), rows)
