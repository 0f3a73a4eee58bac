"""The scans on which reconstructions are compared: held-out subjects, simulated or measured."""
