"""Images to DICOM."""

from smug_recon.dicom.series import write_series

__all__ = ["write_series"]
