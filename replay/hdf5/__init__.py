"""HDF5 raw files, ISMRMRD and fastMRI, read in a second process, which a damaged file may hang or crash."""
