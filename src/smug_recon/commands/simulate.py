"""``smug-recon simulate -o RAW.h5``."""

from pathlib import Path

import typer


def command(
    output: Path = typer.Option(..., "-o", "--output", help="ISMRMRD HDF5 file to write."),
    matrix: tuple[int, int] = typer.Option(
        (256, 256), help="Reconstructed matrix: readout and phase encode."
    ),
    coils: int = typer.Option(12, help="Receive channels."),
    acceleration: float = typer.Option(
        4.0, help="Net acceleration of random lines, step of regular ones; 1: full."
    ),
    acs: int = typer.Option(24, help="Calibration lines."),
    pattern: str = typer.Option("random", help="random (variable density) or regular lines."),
    calibration: str = typer.Option("embedded", help="embedded, separate, unflagged or none."),
    oversampling: int = typer.Option(2, help="Of the readout: 1 or 2."),
    slices: int = typer.Option(6, help="Number of slices."),
    interleaved: bool = typer.Option(
        True, "--interleaved/--sequential", help="Slices take turns line by line, or not."
    ),
    orientation: str = typer.Option("oblique", help="axial, sagittal, coronal or oblique."),
    noise_scan: bool = typer.Option(True, help="Put noise readouts in front."),
    snr: float = typer.Option(40.0, help="Of the fully sampled image, head average; inf: no noise."),
    contrast: str = typer.Option("t1w", help="t1w, t2w or flair."),
    seed: int = typer.Option(0, help="The same seed gives the same bytes."),
    truth: Path | None = typer.Option(
        None, help="Also write truth images, maps, mask and covariance to this HDF5 file."
    ),
) -> None:
    """Simulate a multi-coil raw scan of a synthetic head and write it as ISMRMRD HDF5."""
    from smug_recon.simulation.raw import write_raw
    from smug_recon.simulation.scan import simulate_scan
    from smug_recon.simulation.settings import ScanSettings
    from smug_recon.simulation.truth import write_truth

    scan = simulate_scan(
        ScanSettings(
            matrix_xy=matrix,
            coils=coils,
            acceleration=acceleration,
            acs=acs,
            pattern=pattern,
            calibration=calibration,
            oversampling=oversampling,
            slices=slices,
            interleaved=interleaved,
            orientation=orientation,
            noise_scan=noise_scan,
            snr=snr,
            contrast=contrast,
            seed=seed,
        )
    )
    write_raw(scan, output)
    typer.echo(f"raw scan  {output}  ({len(scan.samples)} readouts, {slices} slices, {coils} coils)")
    if truth is not None:
        write_truth(scan.truth, truth)
        typer.echo(f"truth     {truth}")
