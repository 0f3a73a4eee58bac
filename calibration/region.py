"""The calibration region: the fully sampled block around the k-space centre, from lines and flags."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from smug_recon.errors import DataError


def calibration_lines(
    mask_y: Tensor,
    flagged_y: Tensor | None = None,
    centre_y: int | None = None,
    *,
    minimum: int = 8,
    maximum: int | None = None,
) -> tuple[int, int]:
    """Return ``(start, stop)`` of the contiguous block of sampled lines that holds the k-space centre.

    The sampled lines decide; flags only narrow the block to the span from the first to the last flagged line
    in it, which drops imaging lines that happen to touch it. Flags that leave too few lines are not followed
    (converters differ in whether they flag the lines that serve both purposes).

    Args:
        mask_y: which phase-encoding lines were sampled (bool).
        flagged_y: which lines carry a parallel calibration flag (bool); None when flags are unknown.
        centre_y: line of the k-space centre, ``n // 2`` unless given.
        minimum: fewest lines accepted. maximum: keep at most so many lines, those nearest to the centre.

    Raises:
        DataError: the centre line is missing or the block has fewer than ``minimum`` lines.
    """
    sampled = [bool(line) for line in mask_y]
    centre = len(sampled) // 2 if centre_y is None else centre_y
    if not 0 <= centre < len(sampled) or not sampled[centre]:
        raise DataError(
            f"no sampled line at the k-space centre (line {centre} of {len(sampled)})",
            "a fully sampled block around it",
            "acquire calibration lines around the k-space centre, or mend the encoding limits of the header",
        )
    start = stop = centre
    while start > 0 and sampled[start - 1]:
        start -= 1
    while stop < len(sampled) and sampled[stop]:
        stop += 1
    start, stop = _narrowed(start, stop, centre, flagged_y, minimum)
    if stop - start < minimum:
        raise DataError(
            f"{stop - start} contiguous lines around the k-space centre (lines {start} to {stop - 1})",
            f"at least {minimum}",
            "acquire more calibration lines",
        )
    if maximum is not None and stop - start > maximum:
        start = min(max(centre - maximum // 2, start), stop - maximum)
        stop = start + maximum
    return start, stop


def _narrowed(start: int, stop: int, centre: int, flagged_y: Tensor | None, minimum: int) -> tuple[int, int]:
    flagged = [] if flagged_y is None else [line for line in range(start, stop) if bool(flagged_y[line])]
    if not flagged or not flagged[0] <= centre <= flagged[-1] or flagged[-1] + 1 - flagged[0] < minimum:
        return start, stop
    return flagged[0], flagged[-1] + 1


def calibration_block(hybrid_cyx: Tensor, lines: tuple[int, int], width_x: int = 24) -> Tensor:
    """Cut the calibration block (c, ky, kx) out of hybrid space (ky, x).

    It has the given ``lines`` of ky (start, stop) and the central ``width_x`` samples of kx.

    Only the kept columns are transformed, by the centred orthonormal Fourier sum, so kx sample ``width_x //
    2`` is the centre.
    """
    size_x = hybrid_cyx.shape[-1]
    width_x = min(width_x, size_x)
    position_x = torch.arange(size_x, device=hybrid_cyx.device) - size_x // 2
    frequency_k = torch.arange(width_x, device=hybrid_cyx.device) - width_x // 2
    turns_xk = (position_x[:, None] * frequency_k).remainder(size_x).to(torch.float64) / size_x
    waves_xk = torch.exp(-2j * math.pi * turns_xk) / math.sqrt(size_x)
    return hybrid_cyx[:, lines[0] : lines[1]] @ waves_xk.to(hybrid_cyx.dtype)
