"""One file to look at after a scan: ``report.html``, made from what a replay leaves behind."""

from __future__ import annotations

from smug_recon.report.write import write_report

__all__ = ["write_report"]
