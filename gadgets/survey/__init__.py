"""A raw scan judged by the headers of its readouts, before it runs, and what would be run in a few lines of text."""
