"""The header: the MRD header read and checked before the first readout, frozen in one plan."""
