"""Images to DICOM."""
