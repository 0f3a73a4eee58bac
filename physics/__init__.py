"""The imaging model in pure torch: centred Fourier transforms, SENSE operator, conjugate gradients, CG-SENSE."""

from smug_recon.physics.cg import conjugate_gradient, data_consistency
from smug_recon.physics.cg_sense import cg_sense
from smug_recon.physics.fourier import fft_centred, ifft_centred
from smug_recon.physics.sense import sense_adjoint, sense_forward
from smug_recon.physics.soft_sense import soft_adjoint, soft_forward, soft_sense

__all__ = [
    "cg_sense",
    "conjugate_gradient",
    "data_consistency",
    "fft_centred",
    "ifft_centred",
    "sense_adjoint",
    "sense_forward",
    "soft_adjoint",
    "soft_forward",
    "soft_sense",
]
