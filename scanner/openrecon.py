"""What OpenRecon wants to know of a container: its label, made from the pipeline, and the names of its files.

The rules checked here are those that published containers and the packaging script around
``OpenReconSchema_1.1.0.json`` show (see docs/scanner.md); the schema itself is given out by the vendor only.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Literal, get_args, get_origin

from smug_recon import __version__
from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import DEFAULT_PIPELINE, Pipeline, load_pipeline
from smug_recon.scanner.catalogue import parameter_id

LABEL = "com.siemens-healthineers.magneticresonance.openrecon.metadata:1.1.0"
"""Key of the container label; its value is the JSON in base64."""
NAME, VENDOR, PORT = "smug-recon", "smug-recon", 9002
OFFERED = (
    "images.type",
    "images.conventional",
    "images.uncertainty",
    "strict",
    "partial_fourier",
    "coil_maps.folding",
)
"""Settings that the operator can make: choices and switches."""


def label(pipelines: list[str] | None = None, gpu: bool = True) -> dict[str, Any]:
    """The label as a dictionary; ``pipelines`` are the configurations that the operator may choose from."""
    chosen = pipelines or [DEFAULT_PIPELINE]
    pipeline = load_pipeline(chosen[0])
    config = _choice("config", "Reconstruction", chosen, chosen[0], "The pipeline that is run")
    found = {
        "general": {
            "name": {"en": NAME},
            "version": __version__,
            "vendor": VENDOR,
            "information": {
                "en": "Robust MRI reconstruction by smoothed unrolling (SMUG). For research only."
            },
            "id": NAME,
            "regulatory_information": {
                "device_trade_name": NAME,
                "production_identifier": __version__,
                "manufacturer_address": "",
                "made_in": "",
                "manufacture_date": "",
                "material_number": f"{NAME}_{__version__}",
                "gtin": "",
                "udi": "",
                "safety_advices": "Not a medical device. Research only.",
                "special_operating_instructions": "2-D and 3-D Cartesian raw data with calibration lines.",
                "additional_relevant_information": "",
            },
        },
        "reconstruction": {
            "transfer_protocol": {"protocol": "ISMRMRD", "version": "1.4.1"},
            "port": PORT,
            "emitter": "raw",
            "injector": "image",
            "can_process_adjustment_data": False,
            "can_use_gpu": gpu,
            "min_count_required_gpus": 0,
            "min_required_gpu_memory": 4096 if gpu else 0,
            "min_required_memory": 8192,
            "min_count_required_cpu_cores": 2,
            "content_qualification_type": "RESEARCH",
        },
        "parameters": [config, *(_parameter(pipeline, name) for name in OFFERED)],
    }
    check_label(found)
    return found


def _parameter(pipeline: Pipeline, dotted: str) -> dict[str, Any]:
    """A setting of the pipeline as a parameter of the label, with the pipeline's own value as default."""
    part: Any = pipeline
    *path, last = dotted.split(".")
    for step in path:
        part = getattr(part, step)
    kind, value = type(part).model_fields[last].annotation, getattr(part, last)
    shown = dotted.replace("_", " ").replace(".", ": ")
    if get_origin(kind) is Literal:
        return _choice(parameter_id(dotted), shown, [str(one) for one in get_args(kind)], str(value), dotted)
    if kind is bool:
        return {
            "id": parameter_id(dotted),
            "label": {"en": shown},
            "type": "boolean",
            "default": value,
            "information": {"en": dotted},
        }
    raise ConfigurationError(f"the setting {dotted} in the label", "a choice or a switch", "leave it out")


def _choice(identifier: str, shown: str, values: list[str], default: str, information: str) -> dict[str, Any]:
    return {
        "id": identifier,
        "label": {"en": shown},
        "type": "choice",
        "values": [{"id": value, "name": {"en": value}} for value in values],
        "default": default,
        "information": {"en": information},
    }


def check_label(found: dict[str, Any]) -> None:
    """Check what published labels have in common; ConfigurationError with the first thing that is wrong."""

    def need(holds: bool, what: str) -> None:
        if not holds:
            raise ConfigurationError(f"an OpenRecon label with {what}", "a label as the rules say", "mend it")

    need(set(found) == {"general", "reconstruction", "parameters"}, f"the parts {sorted(found)}")
    general, reconstruction = found["general"], found["reconstruction"]
    need(bool(re.fullmatch(r"\d+\.\d+\.\d+", general["version"])), f"the version {general['version']}")
    for name in ("vendor", "id"):
        need(bool(re.fullmatch(r"[A-Za-z0-9-]+", general[name])), f"{name} = {general[name]!r}")
    need(bool(re.fullmatch(r"[A-Za-z0-9-]+", general["name"]["en"])), f"the name {general['name']['en']!r}")
    need(reconstruction["emitter"] in ("raw", "image"), f"the emitter {reconstruction['emitter']!r}")
    need(reconstruction["injector"] == "image", f"the injector {reconstruction['injector']!r}")
    need(0 < reconstruction["port"] < 65536, f"port {reconstruction['port']}")
    identifiers = [parameter["id"] for parameter in found["parameters"]]
    need(len(set(identifiers)) == len(identifiers), "a parameter twice")
    for parameter in found["parameters"]:
        identifier = parameter["id"]
        need(bool(re.fullmatch(r"[a-z0-9]+", identifier)), f"the parameter id {identifier!r}")
        need("en" in parameter["label"], f"{identifier} without an English label")
        if parameter["type"] == "choice":
            values = [value["id"] for value in parameter["values"]]
            need(parameter["default"] in values, f"the default {parameter['default']!r} of {identifier}")
        else:
            need(
                isinstance(parameter["default"], bool),
                f"the default {parameter['default']!r} of {identifier}",
            )


def file_names(found: dict[str, Any]) -> dict[str, str]:
    """Names of the image and of the files of a package, which must agree with the label.

    The zip holds, beside each other, the image as written by ``docker save`` and the documentation.
    """
    general = found["general"]
    base = f"OpenRecon_{general['vendor']}_{general['name']['en']}"
    version = f"V{general['version']}"
    return {
        "image": f"{base}:{version}".lower(),
        "tar": f"{base}_{version}.tar",
        "pdf": f"{base}_{version}.pdf",
        "zip": f"{base}_{version}.zip",
    }


def encoded(found: dict[str, Any]) -> str:
    """The value of the container label."""
    return base64.b64encode(json.dumps(found, indent=2).encode()).decode()
