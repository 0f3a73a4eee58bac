"""Raw files in, images out, through the very chain that runs on the scanner."""
