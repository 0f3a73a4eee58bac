"""The object: which tissue lies where in a synthetic head, for any point in space, and the signal it gives."""
