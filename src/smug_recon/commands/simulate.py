"""``smug-recon simulate -o RAW.h5``."""

from pathlib import Path

import typer


def command(
    partitions: int | None = typer.Argument(None, metavar="[Z]", help="Z of --matrix X Y [Z]."),
    output: Path = typer.Option(..., "-o", "--output", help="ISMRMRD HDF5 file to write."),
    matrix: tuple[int, int] = typer.Option(
        (256, 256),
        metavar="X Y [Z]",
        help="Reconstructed matrix: readout and phase encode; with Z, partitions of a 3-D scan.",
    ),
    coils: int = typer.Option(12, help="Receive channels."),
    acceleration: float = typer.Option(
        4.0, help="Net acceleration of random and poisson lines, step of regular ones; 1: full."
    ),
    acs: int = typer.Option(24, help="Calibration lines."),
    pattern: str = typer.Option(
        "random", help="random (variable density), regular, or poisson (minimum distance)."
    ),
    calibration: str = typer.Option("embedded", help="embedded, separate, external, unflagged or none."),
    oversampling: int = typer.Option(2, help="Of the readout: 1 or 2."),
    asymmetric_echo: float = typer.Option(0.0, help="Share of the readout left out before the echo."),
    partial_fourier: float = typer.Option(1.0, help="Share of the phase-encode lines acquired."),
    phase_oversampling: float = typer.Option(0.0, help="Lines added, as a share of Y."),
    recon_matrix: tuple[int, int] | None = typer.Option(
        None, metavar="X Y", help="Zero-filled matrix of the images; --matrix when not given."
    ),
    fov: float = typer.Option(1.0, help="Field of view relative to the head; below 1 it folds."),
    slices: int | None = typer.Option(None, help="Number of slices; 6, or 1 in a 3-D scan."),
    thickness: float = typer.Option(4.0, help="Of a slice or partition, in mm."),
    contrasts: int = typer.Option(1, help="Number of echoes."),
    phases: int = typer.Option(1, help="Number of phases of a cycle (cine)."),
    repetitions: int = typer.Option(1, help="Number of repetitions."),
    sets: int = typer.Option(1, help="Number of sets."),
    averages: int = typer.Option(1, help="Number of averages."),
    segments: int = typer.Option(1, help="Number of segments that the lines are acquired in."),
    interleaved: bool = typer.Option(
        True, "--interleaved/--sequential", help="Slices take turns line by line, or not."
    ),
    orientation: str = typer.Option("oblique", help="axial, sagittal, coronal or oblique."),
    noise_scan: bool = typer.Option(True, help="Put noise readouts in front."),
    noise_in: str = typer.Option(
        "stream", help="Noise readouts in the stream, in a group of the file, or in a file of their own."
    ),
    snr: float = typer.Option(40.0, help="Of the fully sampled image, head average; inf: no noise."),
    contrast: str = typer.Option("t1w", help="t1w, t2w or flair."),
    dead_coil: list[int] = typer.Option([], help="A channel, from 0, that records nothing; repeatable."),
    reversed_lines: bool = typer.Option(False, "--reversed", help="Every second readout runs backwards."),
    extra_lines: list[str] = typer.Option(
        [],
        help="Readouts without image line: dummy, navigator, phase-correction, surface-coil, feedback; repeatable.",
    ),
    discard: tuple[int, int] = typer.Option(
        (0, 0), metavar="PRE POST", help="Samples to be discarded before and after every readout."
    ),
    seed: int = typer.Option(0, help="The same seed gives the same bytes."),
    truth: Path | None = typer.Option(
        None, help="Also write truth images, maps, mask and covariance to this HDF5 file."
    ),
) -> None:
    """Simulate a multi-coil raw scan of a synthetic head and write it as ISMRMRD HDF5."""
    from tqdm import tqdm

    from smug_recon.simulation.protocol.settings import ScanSettings
    from smug_recon.simulation.writing import write_scan

    matrix_z = 1 if partitions is None else partitions
    count = slices if slices is not None else (1 if matrix_z > 1 else 6)
    settings = ScanSettings(
        matrix_xy=matrix,
        matrix_z=matrix_z,
        coils=coils,
        acceleration=acceleration,
        acs=acs,
        pattern=pattern,
        calibration=calibration,
        oversampling=oversampling,
        asymmetric_echo=asymmetric_echo,
        partial_fourier=partial_fourier,
        phase_oversampling=phase_oversampling,
        recon_matrix_xy=recon_matrix,
        fov=fov,
        slices=count,
        thickness_mm=thickness,
        contrasts=contrasts,
        phases=phases,
        repetitions=repetitions,
        sets=sets,
        averages=averages,
        segments=segments,
        interleaved=interleaved,
        orientation=orientation,
        noise_scan=noise_scan,
        snr=snr,
        contrast=contrast,
        dead_coils=tuple(dead_coil),
        reversed_lines=reversed_lines,
        extra_lines=tuple(extra_lines),
        discard=discard,
        seed=seed,
    )
    written = 0
    for written in tqdm(write_scan(settings, output, truth, noise_in), unit=" readouts", disable=None):  # noqa: B007
        pass
    size = f"{matrix_z} partitions" if matrix_z > 1 else f"{count} slices"
    typer.echo(f"raw scan  {output}  ({written} readouts, {size}, {coils} coils)")
    if truth is not None:
        typer.echo(f"truth     {truth}")
