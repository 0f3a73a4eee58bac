"""A raw scan as messages: their bytes, the MRD header parsed and mended, and the face that every raw scan shows."""
