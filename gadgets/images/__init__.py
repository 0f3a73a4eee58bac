"""From the image of the network to the image of the host: completed, cropped, scaled, dressed."""
