"""The stream: acquisitions in, images out, one stage a file; and the connection to the host."""
