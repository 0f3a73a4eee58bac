"""The MRD header of a simulated scan."""

from __future__ import annotations

from typing import Any

import ismrmrd.xsd

from smug_recon.simulation.geometry import Stack
from smug_recon.simulation.settings import ScanSettings
from smug_recon.simulation.tissue import CONTRASTS

FIELD_T = 2.8936
BANDWIDTH = 0.793  # relativeReceiverNoiseBandwidth


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


def _encoding(settings: ScanSettings, stack: Stack) -> Any:
    x, y = settings.matrix_xy
    fov_mm = (x * stack.pixel_mm, y * stack.pixel_mm, settings.thickness_mm)
    wide = settings.oversampling
    single = _fill("limitType", minimum=0, maximum=0, center=0)
    limits = {
        name: single
        for name in ("kspace_encoding_step_2", "average", "contrast", "phase", "repetition", "set", "segment")
    }
    parallel = None
    if settings.acceleration > 1:
        mode = {"embedded": "embedded", "separate": "separate"}.get(settings.calibration, "other")
        parallel = _fill(
            "parallelImagingType",
            accelerationFactor=_fill(
                "accelerationFactorType",
                kspace_encoding_step_1=max(1, round(settings.acceleration)),
                kspace_encoding_step_2=1,
            ),
            calibrationMode=ismrmrd.xsd.calibrationModeType(mode),
        )
    return _fill(
        "encodingType",
        encodedSpace=_space((x * wide, y, 1), (fov_mm[0] * wide, fov_mm[1], fov_mm[2])),
        reconSpace=_space((x, y, 1), fov_mm),
        encodingLimits=_fill(
            "encodingLimitsType",
            kspace_encoding_step_0=_fill("limitType", minimum=0, maximum=x * wide - 1, center=x * wide // 2),
            kspace_encoding_step_1=_fill("limitType", minimum=0, maximum=y - 1, center=y // 2),
            slice=_fill("limitType", minimum=0, maximum=settings.slices - 1, center=0),
            **limits,
        ),
        trajectory=ismrmrd.xsd.trajectoryType("cartesian"),
        parallelImaging=parallel,
        echoTrainLength=1,
    )


def mrd_header(settings: ScanSettings, stack: Stack) -> str:
    """Return the MRD header of a scan as XML."""
    contrast = CONTRASTS[settings.contrast]
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
            measurementID=f"phantom_{settings.seed}",
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
        encoding=[_encoding(settings, stack)],
        sequenceParameters=_fill(
            "sequenceParametersType",
            TR=[contrast.tr_ms],
            TE=[contrast.te_ms],
            TI=[contrast.ti_ms] if contrast.ti_ms else [],
            flipAngle_deg=[contrast.flip_deg],
            sequence_type=contrast.kind,
        ),
    )
    return str(ismrmrd.xsd.ToXML(header))
