"""The live page of the session server: sessions, images as they leave, timings, queue, fallbacks; read-only."""

from smug_recon.web.serving import LivePage

__all__ = ["LivePage"]
