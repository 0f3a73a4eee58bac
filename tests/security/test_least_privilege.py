"""The service unit and the container take no more rights than they need."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "scanner" / "deploy"
MOST_EXPOSED = 20
"""systemd's exposure times ten: 0 is a service that can do nothing, 96 one without any restriction."""


def test_systemd_calls_the_unit_hardly_exposed():
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze (Debian: systemd)")
    command = [program, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager"]
    found = subprocess.run(
        [*command, DEPLOY / "smug-recon.service"], capture_output=True, text=True, timeout=60
    )
    if "unrecognized option" in found.stderr:
        pytest.skip("needs systemd 250 or later")
    assert found.returncode == 0, found.stdout[-400:] + found.stderr


def test_the_unit_talks_to_this_machine_alone_as_its_command_says():
    text = (DEPLOY / "smug-recon.service").read_text()
    assert "--host 127.0.0.1" in text and "IPAddressDeny=any" in text and "IPAddressAllow=localhost" in text
    assert not re.search("^User=root|^ReadWritePaths=/$", text, re.MULTILINE)


def test_the_container_runs_as_a_user_without_rights():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users and users[-1] not in ("root", "0")
    start = max(number for number, line in enumerate(lines) if line.startswith("CMD"))
    assert not [
        line
        for line in lines[lines.index(f"USER {users[-1]}") : start]
        if line.startswith(("RUN", "COPY", "ADD"))
    ]
    assert "nologin" in "".join(lines) and "chmod" not in "".join(lines)
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["smug-recon"]
    assert service["security_opt"] == ["no-new-privileges:true"] and "privileged" not in service
    assert service["mem_limit"] and service["pids_limit"]
    assert service["volumes"] == ["spools:/var/lib/smug-recon"]  # by name: nothing of the host is seen


def test_the_service_writes_where_its_spools_are_and_nowhere_else():
    lines = (DEPLOY / "smug-recon.service").read_text().splitlines()
    assert {"StateDirectory=smug-recon", "StateDirectoryMode=0700", "ProtectSystem=strict"} <= set(lines)
    assert not [line for line in lines if line.startswith(("ReadWritePaths", "BindPaths", "CacheDirectory"))]
    command = next(line for line in lines if line.startswith("ExecStart=")).split()
    assert command[command.index("--spool") + 1].startswith("%S/smug-recon/")
