"""The raw scan as ISMRMRD data: its header, the headers of its readouts, the file."""
