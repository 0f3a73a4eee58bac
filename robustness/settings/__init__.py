"""The evaluation config: what is compared, on which slices, under which perturbations."""
