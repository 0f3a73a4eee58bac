"""The chain inside a Python program: readouts of a raw file in, numpy images out.

usage: python examples/in_python.py [RAW.h5]
"""

import sys
import tempfile
from pathlib import Path

import ismrmrd
import numpy as np

from smug_recon import gadgets
from smug_recon.pipeline import load_pipeline
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import write_raw
from smug_recon.simulation.scan import simulate_scan


def reconstruct(raw: Path) -> list[ismrmrd.Image]:
    """Return the images of a raw file, in the order in which the chain makes them."""
    with ismrmrd.File(raw, "r") as file:
        group = file["dataset"]
        header = group.header
        readouts = list(group.acquisitions)
    pipeline = load_pipeline().with_overrides({"images.type": "float32"})
    images: list[ismrmrd.Image] = []
    report = gadgets.run(readouts, images.append, header, pipeline)
    for warning in report.warnings:
        print("warning:", warning)
    return [image for image in images if isinstance(image, ismrmrd.Image)]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            raw = Path(sys.argv[1])
        else:
            raw = Path(folder) / "raw.h5"
            write_raw(simulate_scan(ScanSettings(matrix_xy=(128, 96), coils=6, slices=2)), raw)
        for image in reconstruct(raw):
            pixels = np.squeeze(image.data)
            print(
                f"slice {image.slice}: {pixels.shape}, largest value {pixels.max():.4g}, "
                f"{image.meta['ImageComments']}"
            )


if __name__ == "__main__":
    main()
