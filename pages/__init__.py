"""What all pages have in common that are written or served: a document complete in itself, and the colours."""

from __future__ import annotations

from importlib import resources

COLOURS = resources.files("smug_recon.pages") / "colours.css"
"""The style sheet with the colours of all pages, light and dark."""
