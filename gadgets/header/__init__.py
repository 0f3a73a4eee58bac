"""The header: the MRD header read, checked and surveyed before the first readout, frozen in one plan."""
