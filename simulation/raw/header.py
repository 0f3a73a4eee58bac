"""The MRD header of a simulated scan."""

from __future__ import annotations

from typing import Any

import ismrmrd.xsd

from smug_recon.simulation.anatomy.tissue import CONTRASTS
from smug_recon.simulation.protocol.dynamics import echo
from smug_recon.simulation.protocol.geometry import Stack
from smug_recon.simulation.protocol.layout import Layout
from smug_recon.simulation.protocol.masks_zy import split
from smug_recon.simulation.protocol.settings import ScanSettings

FIELD_T = 2.8936
BANDWIDTH = 0.793  # relativeReceiverNoiseBandwidth
WHOLE, NOISE_PART, IMAGING_PART = "whole", "noise", "imaging"
MODES = ("embedded", "separate", "external")


def _fill(name: str, **fields: Any) -> Any:
    """Make a schema object by name: the generated classes differ between ismrmrd versions in required
    arguments only.
    """
    return getattr(ismrmrd.xsd, name)(**fields)


def _space(matrix_xyz: tuple[int, int, int], fov_mm: tuple[float, float, float]) -> Any:
    return _fill(
        "encodingSpaceType",
        matrixSize=_fill("matrixSizeType", x=matrix_xyz[0], y=matrix_xyz[1], z=matrix_xyz[2]),
        fieldOfView_mm=_fill("fieldOfViewMm", x=fov_mm[0], y=fov_mm[1], z=fov_mm[2]),
    )


def _limits(settings: ScanSettings, layout: Layout) -> dict[str, Any]:
    """Return the encoding limits of the counters other than those of k-space."""
    names = ("average", "contrast", "phase", "repetition", "set", "segment")
    found = {name: getattr(settings, f"{name}s") for name in names}
    limits = {"kspace_encoding_step_2": _limit(layout.partitions_z, layout.partitions_z // 2)}
    return {**limits, **{name: _limit(count) for name, count in found.items()}}


def _limit(count: int, centre: int = 0) -> Any:
    return _fill("limitType", minimum=0, maximum=count - 1, center=centre)


def _encoding(settings: ScanSettings, layout: Layout, stack: Stack) -> Any:
    """Return the imaging encoding.

    With partial Fourier the acquired lines count from 0 and the centre lies before the middle, as the Siemens
    converter writes it: ``maximum = acquired - 1``, ``center = lines / 2 - left out``.
    """
    x, y = layout.matrix_xy
    z_mm = settings.thickness_mm * layout.partitions_z
    fov_mm = (x * stack.pixel_mm, y * stack.pixel_mm, z_mm)
    parallel = None
    if settings.acceleration > 1:
        mode = settings.calibration if settings.calibration in MODES else "other"
        step_y, step_z = split(settings.acceleration, layout.partitions_z)
        parallel = _fill(
            "parallelImagingType",
            accelerationFactor=_fill(
                "accelerationFactorType", kspace_encoding_step_1=step_y, kspace_encoding_step_2=step_z
            ),
            calibrationMode=ismrmrd.xsd.calibrationModeType(mode),
        )
    return _fill(
        "encodingType",
        encodedSpace=_space(
            (layout.width_x, layout.lines_y, layout.partitions_z),
            (fov_mm[0] * settings.oversampling, layout.lines_y * stack.pixel_mm, z_mm),
        ),
        reconSpace=_space((*layout.recon_xy, layout.partitions_z), fov_mm),
        encodingLimits=_fill(
            "encodingLimitsType",
            kspace_encoding_step_0=_limit(layout.acquired_x, layout.centre_x),
            kspace_encoding_step_1=_limit(layout.acquired_y, layout.centre_y),
            slice=_limit(settings.slices),
            **_limits(settings, layout),
        ),
        trajectory=ismrmrd.xsd.trajectoryType("cartesian"),
        parallelImaging=parallel,
        echoTrainLength=1,
    )


def _reference_encoding(settings: ScanSettings, layout: Layout, stack: Stack) -> Any:
    """Return the encoding of the external reference scan: the same field of view, half the resolution along
    the readout, ``acs`` lines.
    """
    fov_mm = (
        layout.matrix_xy[0] * stack.pixel_mm,
        layout.lines_y * stack.pixel_mm,
        settings.thickness_mm * layout.partitions_z,
    )
    lines, partitions = min(settings.acs, layout.acquired_y), layout.acs_z
    single = {name: _limit(1) for name in ("average", "contrast", "phase", "repetition", "set", "segment")}
    return _fill(
        "encodingType",
        encodedSpace=_space(
            (layout.reference_x, lines, partitions),
            (fov_mm[0] * settings.oversampling, fov_mm[1], fov_mm[2]),
        ),
        reconSpace=_space((layout.matrix_xy[0] // 2, lines, partitions), fov_mm),
        encodingLimits=_fill(
            "encodingLimitsType",
            kspace_encoding_step_0=_limit(layout.reference_x, layout.reference_x // 2),
            kspace_encoding_step_1=_limit(lines, layout.reference_centre_y(settings.acs)),
            kspace_encoding_step_2=_limit(partitions, layout.reference_centre_z),
            slice=_limit(settings.slices),
            **single,
        ),
        trajectory=ismrmrd.xsd.trajectoryType("cartesian"),
        echoTrainLength=1,
    )


def mrd_header(settings: ScanSettings, layout: Layout, stack: Stack, part: str = WHOLE) -> str:
    """Return the MRD header of a scan as XML: of the whole, of the noise scan that is a measurement of its
    own, or of the imaging scan that depends on it.
    """
    own_id = f"phantom_{settings.seed}"
    noise_id = f"{own_id}_noise"
    depends = {}
    if part == IMAGING_PART:
        entry = _fill("measurementDependencyType", dependencyType="Noise", measurementID=noise_id)
        depends = {"measurementDependency": [entry]}
    contrast = CONTRASTS[settings.contrast]
    encodings = [_encoding(settings, layout, stack)]
    if settings.calibration == "external":
        encodings.append(_reference_encoding(settings, layout, stack))
    header = _fill(
        "ismrmrdHeader",
        subjectInformation=_fill(
            "subjectInformationType", patientName="PHANTOM", patientID=f"PHANTOM-{settings.seed}"
        ),
        studyInformation=_fill(
            "studyInformationType",
            studyDate="2000-01-01",
            studyTime="10:00:00",
            studyDescription="Synthetic head",
        ),
        measurementInformation=_fill(
            "measurementInformationType",
            measurementID=noise_id if part == NOISE_PART else own_id,
            **depends,
            patientPosition="HFS",
            protocolName=f"head_{settings.contrast}_{settings.orientation}",
            sequenceName=contrast.kind,
            seriesDescription=f"Synthetic head {settings.contrast}",
            frameOfReferenceUID=f"2.25.{(settings.seed + 1) * 10**12 + 2000}",
        ),
        acquisitionSystemInformation=_fill(
            "acquisitionSystemInformationType",
            systemVendor="smug-recon",
            systemModel="simulation",
            systemFieldStrength_T=FIELD_T,
            relativeReceiverNoiseBandwidth=BANDWIDTH,
            receiverChannels=settings.coils,
            coilLabel=[
                _fill("coilLabelType", coilNumber=coil, coilName=f"Head_{coil + 1}")
                for coil in range(settings.coils)
            ],
            institutionName="none",
        ),
        experimentalConditions=_fill(
            "experimentalConditionsType", H1resonanceFrequency_Hz=round(FIELD_T * 42.577e6)
        ),
        encoding=encodings,
        sequenceParameters=_fill(
            "sequenceParametersType",
            TR=[contrast.tr_ms],
            TE=[echo(settings, number).te_ms for number in range(settings.contrasts)],
            TI=[contrast.ti_ms] if contrast.ti_ms else [],
            flipAngle_deg=[contrast.flip_deg],
            sequence_type=contrast.kind,
        ),
    )
    return str(ismrmrd.xsd.ToXML(header))
