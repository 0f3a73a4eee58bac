"""Doing the jobs of an evaluation, in this process or on a Dask cluster."""
