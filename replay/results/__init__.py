"""What a replay leaves behind: images, previews, films, DICOM and NIfTI files, timing, all of a kind or none; images explained."""
