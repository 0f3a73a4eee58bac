"""Images to DICOM and NIfTI."""

from smug_recon.dicom.nifti import write_nifti
from smug_recon.dicom.series import write_dicom

__all__ = ["write_dicom", "write_nifti"]
