"""The conventional reconstruction: CG-SENSE (Pruessmann 2001, DOI 10.1002/mrm.1241)."""

from __future__ import annotations

import torch
from torch import Tensor

from smug_recon.physics.cg import conjugate_gradient
from smug_recon.physics.sense import sense_adjoint


def cg_sense(
    kspace_bcyx: Tensor,
    maps_bcyx: Tensor,
    mask: Tensor,
    regularisation: float = 1e-2,
    iterations: int = 30,
    tolerance: float = 1e-5,
) -> Tensor:
    """Return ``argmin |A x - y|^2 + regularisation |x|^2``, shape (b, y, x).

    The regularisation is relative to the operator's largest eigenvalue, which is 1 for unit-norm maps.
    """
    adjoint_byx = sense_adjoint(kspace_bcyx, maps_bcyx, mask)
    weight_b = torch.full([adjoint_byx.shape[0]], regularisation, device=adjoint_byx.device)
    return conjugate_gradient(adjoint_byx, adjoint_byx, maps_bcyx, mask, weight_b, iterations, tolerance)
