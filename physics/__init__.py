"""The imaging model in pure torch: centred Fourier transforms, SENSE operator, conjugate gradients, CG-SENSE."""
