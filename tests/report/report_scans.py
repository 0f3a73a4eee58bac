"""Folders as a replay leaves them, made by the chain itself from the small scan of the stage tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
from small_scan import SmallScan, header_xml, whole_scan

from smug_recon.gadgets.flow.notebook import Notebook
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline
from smug_recon.replay.offline import NOTEBOOK_FILE
from smug_recon.replay.results.images import ImageFile

HOSTILE = "<script>window.hacked = 1</script>\"'><img src=x onerror=window.hacked=1>&amp;"


def scan_of(slices: int) -> SmallScan:
    return whole_scan(slices, noise_root=0.2 * np.diag([1.0, 5.0, 1.5, 1.0]) @ (np.eye(4) + 0.2j))


def hostile_xml(slices: int) -> str:
    """The header of the small scan, with a protocol and coil names that are not well meant."""
    name = HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    coils = "".join(
        f"<coilLabel><coilNumber>{n}</coilNumber><coilName>{name[:40].rsplit('&', 1)[0]}</coilName></coilLabel>"
        for n in range(4)
    )
    xml = header_xml(slices=slices)
    xml = xml.replace("<protocolName>head<", f"<protocolName>{name}<")
    patient = "<subjectInformation><patientName>DOE^JANE</patientName><patientID>MRN-4711</patientID></subjectInformation>"
    xml = xml.replace("<measurementInformation>", f"{patient}<measurementInformation>", 1)
    return xml.replace("</receiverChannels>", f"</receiverChannels>{coils}")


def replayed(
    folder: Path,
    model: Any,
    slices: int = 5,
    xml: str | None = None,
    notebook: bool = True,
    warnings: tuple[str, ...] = (),
    **overrides: Any,
) -> Path:
    """Run the chain in this process and leave images.h5, timing.json and report.npz in the folder."""
    xml = xml or header_xml(slices=slices)
    pipeline = load_pipeline().with_overrides(overrides)
    observer = Notebook(folder / NOTEBOOK_FILE)
    report = Report(observer) if notebook else Report()
    with ImageFile(folder / "images.h5", xml.encode()) as file:
        items = observer.arriving(scan_of(slices).readouts)
        run(items, file.append, ismrmrd.xsd.CreateFromDocument(xml), pipeline, model, report)
        file.finish()
    for text in warnings:
        report.warn(text)
    timing = {**report.as_dict(), "source": {"bytes": 1234567, "sha256": "a" * 64}}
    (folder / "timing.json").write_text(json.dumps(timing))
    return folder
