"""Pipeline files, Gadgetron configurations and the trained models that they name."""
