"""The hall's files for HAProxy, Compose and Kubernetes: what their own programs and schemas say, and what they promise."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from smug_recon.__main__ import app
from smug_recon.errors import ConfigurationError
from smug_recon.scanner.status import StatusPage

DEPLOY = Path(__file__).parents[2] / "scanner" / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "hall.compose.yaml").read_text())
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def serve_options(words: list[str]) -> dict[str, str]:
    """The options after ``smug-recon serve``; every one must exist."""
    assert words[:2] == ["smug-recon", "serve"]
    given = dict(zip(words[2::2], words[3::2], strict=True))
    command = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    assert set(given) <= {name for parameter in command.params for name in parameter.opts}
    return given


def test_haproxy_takes_the_configuration_with_what_compose_sets() -> None:
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip("needs HAProxy: apt-get install haproxy")
    environment = COMPOSE["services"]["balancer"]["environment"]
    text = (DEPLOY / "haproxy.cfg").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) == set(environment)
    here = {name: re.sub("^(one|two):", "127.0.0.1:", value) for name, value in environment.items()}
    checked = subprocess.run(
        [program, "-c", "-f", str(DEPLOY / "haproxy.cfg")],
        env={**os.environ, **here},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "[WARNING]" not in checked.stderr


def test_the_compose_file_follows_the_specification() -> None:
    pytest.importorskip("check_jsonschema", reason="needs pip install check-jsonschema")
    from jsonschema.validators import validator_for

    folder = resources.files("check_jsonschema.builtin_schemas.vendor")
    schema = json.loads(folder.joinpath("compose-spec.json").read_text())
    validator = validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []
    assert not validator.is_valid({**COMPOSE, "servces": {}})


def test_compose_shares_models_read_only_and_nothing_else() -> None:
    one, two, balancer = (COMPOSE["services"][name] for name in ("one", "two", "balancer"))
    assert {*one["volumes"]} & {*two["volumes"]} == {"./models:/models:ro"}
    kept = "/var/lib/smug-recon"  # belongs to the user of the image: a new volume does, too
    assert f"--owner smug-recon --mode 0700 {kept}" in (DEPLOY / "Dockerfile").read_text()
    gpus = [each["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"] for each in (one, two)]
    assert gpus == [["0"], ["1"]]
    for each in (one, two):
        assert "ports" not in each and each["read_only"] and each["cap_drop"] == ["ALL"]
        options = serve_options(each["command"])
        assert any(f":{Path(options['--spool']).parent}" in volume for volume in each["volumes"])
        assert float(options["--grace"]) < float(each["stop_grace_period"].rstrip("s"))
        for name in ("ONE", "TWO"):
            assert balancer["environment"][f"HALL_{name}"] == f"{name.lower()}:{options['--port']}"
            assert balancer["environment"][f"HALL_{name}_STATUS"] == options["--status-port"]
    assert all(port.startswith("127.0.0.1:") for port in balancer["ports"])


def unknown(client: Any, value: Any, kind: str, at: str) -> list[str]:
    """Fields that the Kubernetes API does not have, and required ones that are missing."""
    if listed := re.fullmatch(r"list\[(.+)\]", kind):
        return [
            line
            for number, one in enumerate(value)
            for line in unknown(client, one, listed[1], f"{at}[{number}]")
        ]
    if mapped := re.fullmatch(r"dict\(str, (.+)\)", kind):
        return [
            line for name, one in value.items() for line in unknown(client, one, mapped[1], f"{at}.{name}")
        ]
    model = getattr(client, kind, None)
    if model is None or not isinstance(value, dict):
        return [] if model is None else [f"{at}: no {kind}"]
    names = {theirs: ours for ours, theirs in model.attribute_map.items()}
    found = [f"{at}.{name}: unknown to {kind}" for name in value if name not in names]
    for name in value.keys() & names.keys():
        found += unknown(client, value[name], model.openapi_types[names[name]], f"{at}.{name}")
    try:
        model(**{names[name]: one for name, one in value.items() if name in names})
    except ValueError as error:
        found.append(f"{at}: {error}")
    return found


KINDS = {
    "StatefulSet": "V1StatefulSet",
    "Service": "V1Service",
    "NetworkPolicy": "V1NetworkPolicy",
    "PodDisruptionBudget": "V1PodDisruptionBudget",
}


@pytest.fixture(scope="module")
def api() -> Any:
    return pytest.importorskip("kubernetes.client", reason="needs pip install kubernetes")


def test_kubernetes_knows_every_field(api: Any) -> None:
    for document in KUBERNETES:
        assert unknown(api, document, KINDS[document["kind"]], document["kind"]) == []
    broken = {"kind": "Service", "spec": {"selectors": {}, "ports": [{"name": "mrd"}]}}
    assert len(unknown(api, broken, "V1Service", "Service")) == 2


def test_the_kubernetes_files_agree_with_each_other_and_the_server() -> None:
    by_kind = {
        document["kind"]: document for document in KUBERNETES if document["metadata"]["name"] == "smug-recon"
    }
    spec = by_kind["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    options = serve_options(container["args"])
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    assert ports == {"mrd": options["--port"], "status": options["--status-port"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "status"}
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    paused = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > paused + float(options["--grace"]) + 10
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    (claim,) = spec["volumeClaimTemplates"]  # a disk for each instance, never one for all
    assert Path(options["--spool"]).parent == Path(mounted[claim["metadata"]["name"]])
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert container["securityContext"]["readOnlyRootFilesystem"] and pod["securityContext"]["runAsNonRoot"]
    label = spec["template"]["metadata"]["labels"]
    selectors = [spec["selector"]["matchLabels"], by_kind["Service"]["spec"]["selector"]]
    selectors += [by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]]
    selectors += [by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]]
    assert all(selector == label for selector in selectors)
    assert spec["serviceName"] in {document["metadata"]["name"] for document in KUBERNETES}


def test_the_status_page_can_be_had_from_where_the_balancer_is(start: Any) -> None:
    server = start(status_host="127.0.0.2")
    page = f"http://127.0.0.2:{server._page.port}/health"
    with urllib.request.urlopen(page, timeout=30) as answer:
        assert answer.read() == b"alive\n"
    with pytest.raises(OSError):
        urllib.request.urlopen(page.replace("127.0.0.2", "127.0.0.1"), timeout=30)
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1.*--status-host"):
        StatusPage(server.house, 0, "192.0.2.1")
