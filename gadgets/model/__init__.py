"""The model on this machine: its file with hash and card, its device, the guard that goes on when a GPU is lost."""
