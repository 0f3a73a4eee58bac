"""Raw scans opened by their content: files, streams, spools, what is converted first; the noise scan that belongs to them."""
