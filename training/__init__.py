"""What makes a network: data, losses, the training loop, checkpoints and TorchScript export."""
