"""What is compared: networks and reconstructions without training, each from k-space, from A^H y, from another start."""
