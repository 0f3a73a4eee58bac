"""What a scan really was, and how close images come to it."""
