"""What is to be done: every method under every probe on every slice, and what one process keeps between jobs."""
