"""Two sets of coil maps where the head is larger than the field of view: soft-SENSE.

Where two parts of the head fold onto one point, the coils see ``s_1 m_1 + s_2 m_2`` there. No single map
explains that: the second eigenvalue of ESPIRiT is near one as well, and the second eigenvector completes the
space of the two maps (Uecker et al. 2014, DOI 10.1002/mrm.24751, section "Multiple maps").
"""

from __future__ import annotations

import torch
from torch import Tensor

from smug_recon.calibration.eigenmaps import deflated, dominant_eigenvectors, image_space_gram
from smug_recon.calibration.espirit import MapSpace, map_space
from smug_recon.calibration.reference import reference_coil

_CHUNK = 2**22  # matrix elements worked on at once
_NO_NOISE = 0.4  # third eigenvalue, where the level of the noise is not known
_GRID = 32  # far finer than kernels of up to 12 samples need


def leading_eigenvalues(space: MapSpace, count: int = 3, iterations: int = 96) -> Tensor:
    """Return the largest eigenvalues (count, 32, 32), float32, 0 to 1, over the field of view."""
    gram = image_space_gram(space.lags_yxcc, (_GRID, _GRID))
    found = []
    for _ in range(count):
        vectors_yxc, eigenvalue_yx = dominant_eigenvectors(gram, iterations)
        gram = deflated(gram, vectors_yxc, eigenvalue_yx)
        found.append(eigenvalue_yx)
    return torch.stack(found).clamp(0, 1)


def folded_share(space: MapSpace, crop: float = 0.9) -> float:
    """Return the share of the object in which two sets of maps are needed, 0 for fewer than three coils.

    The object is where the first eigenvalue exceeds 0.95; two sets are needed where the second one exceeds
    ``crop``. Noise of unknown level lifts the second eigenvalue as well, but the third with it: then the
    third has to be below 0.4.
    """
    if space.coils < 3:
        return 0.0
    first_yx, second_yx, third_yx = leading_eigenvalues(space)
    inside_yx = first_yx > 0.95
    needed_yx = inside_yx & (second_yx > crop)
    if space.noise_level == 0:
        needed_yx &= third_yx < _NO_NOISE
    return float(needed_yx.sum()) / max(1, int(inside_yx.sum()))


def espirit_map_sets(
    calibration_cyx: Tensor,
    shape_yx: tuple[int, int],
    *,
    sets: int = 2,
    kernel: int = 6,
    threshold: float = 0.02,
    noise_level: float = 0.0,
    crop: float = 0.8,
    iterations: int = 96,
) -> tuple[Tensor, Tensor]:
    """Estimate several sets of unit-norm coil maps, orthogonal at every point: ``G(r) s_k(r) = l_k(r) s_k(r)``.

    Args:
        sets: how many, at most the number of coils. crop: the maps of the second set and those after it are
            zero where their eigenvalue is not above it; the first set is everywhere.
        The others are those of :func:`smug_recon.calibration.espirit_maps`.

    Returns:
        ``maps_scyx``, complex64, and ``eigenvalue_syx``, float32, strongest first.

    Raises:
        DataError: as :func:`smug_recon.calibration.espirit_maps`.
    """
    space = map_space(calibration_cyx, kernel=kernel, threshold=threshold, noise_level=noise_level)
    return map_sets(space, shape_yx, sets=sets, crop=crop, iterations=iterations)


def map_sets(
    space: MapSpace, shape_yx: tuple[int, int], *, sets: int = 2, crop: float = 0.8, iterations: int = 96
) -> tuple[Tensor, Tensor]:
    """Return the sets of maps of a known space (see :func:`espirit_map_sets`).

    Where two eigenvalues are nearly equal the eigenvectors are not smooth, only the space they span is: the
    eigenproblem is solved at every point of the image instead of being interpolated.
    """
    sets, rows = min(sets, space.coils), max(1, _CHUNK // (shape_yx[1] * space.coils**2))
    vectors, eigenvalues = [], []
    for start in range(0, shape_yx[0], rows):
        gram = image_space_gram(space.lags_yxcc, shape_yx, (start, min(start + rows, shape_yx[0])))
        chunk_v, chunk_e = [], []
        for _ in range(sets):
            vectors_yxc, eigenvalue_yx = dominant_eigenvectors(gram, iterations)
            gram = deflated(gram, vectors_yxc, eigenvalue_yx)
            chunk_v.append(vectors_yxc)
            chunk_e.append(eigenvalue_yx)
        vectors.append(torch.stack(chunk_v))
        eigenvalues.append(torch.stack(chunk_e))
    vectors_syxc, eigenvalue_syx = torch.cat(vectors, 1), torch.cat(eigenvalues, 1).clamp(0, 1)
    maps = []
    for number in range(sets):
        kept_yx = eigenvalue_syx[number] > (crop if number else 0.0)
        weights_n = (eigenvalue_syx[number] > max(crop, 0.95)).to(torch.float32).flatten()
        reference_c = reference_coil(vectors_syxc[number].flatten(0, 1), weights_n, space.start_c)
        overlap_yx = vectors_syxc[number].conj() @ reference_c
        size_yx = overlap_yx.abs()
        turn_yx = torch.where(size_yx > 0, overlap_yx / size_yx.clamp_min(1e-30), torch.ones_like(overlap_yx))
        maps.append((vectors_syxc[number] * (turn_yx * kept_yx)[..., None]).permute(2, 0, 1))
    return torch.stack(maps).to(torch.complex64), eigenvalue_syx
