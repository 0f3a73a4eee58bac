"""``smug-recon openrecon-label``."""

import typer


def command(
    pipelines: list[str] = typer.Option(
        None, "-c", "--config", help="Configurations to choose from; several times, the first is the default."
    ),
    gpu: bool = typer.Option(True, help="Whether a GPU is used if there is one."),
    form: str = typer.Option(
        "json", "--as", help="json, base64 (the value of the label), build (the commands)."
    ),
) -> None:
    """Print the OpenRecon label of the container, made from the pipeline, or the commands that build the package."""
    import json

    from smug_recon.errors import ConfigurationError
    from smug_recon.scanner.openrecon import LABEL, encoded, file_names, label

    found = label(pipelines or None, gpu)
    if form == "json":
        typer.echo(json.dumps(found, indent=2))
    elif form == "base64":
        typer.echo(encoded(found))
    elif form == "build":
        names = file_names(found)
        typer.echo(
            f"docker build --platform linux/amd64 -f scanner/deploy/Dockerfile -t {names['image']} "
            f'--label "{LABEL}={encoded(found)}" .\n'
            f"docker save -o {names['tar']} {names['image']}\n"
            f"cp DOCUMENTATION.pdf {names['pdf']}\n"
            f"zip {names['zip']} {names['tar']} {names['pdf']}"
        )
    else:
        raise ConfigurationError(f"--as {form}", "json, base64 or build", "mend the option")
