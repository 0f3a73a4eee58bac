"""The host's part: the node started as a process, told its configuration, sent the readouts while images come back."""
