"""The networks in pure torch: denoisers, MoDL unrolling, SMUG smoothing and its rivals."""
