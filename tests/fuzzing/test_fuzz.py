"""A short run of every fuzz target: the whole corpus, what fuzzing has found before, and inputs drawn from a fixed seed.

``scripts/fuzz`` runs the same targets for as long as you like, guided by coverage (docs/fuzzing.md).
"""

from __future__ import annotations

import importlib.util
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz_mutate import inputs
from fuzz_seeds import CORPUS, seeds
from fuzz_targets import TARGETS

#: inputs drawn in the tests; those that build files or reconstruct cost more
COUNTS = {"wire": 1500, "mrdstream": 1500, "card": 800, "handshake": 150, "opening": 150, "header": 60}
COUNTS |= {"pipeline": 40, "tables": 80, "chain": 40, "hdf5": 8, "spool": 800}
HANG_S = 60


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Inputs are refused with a word in the log each: not here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def _hang() -> Iterator[None]:
    """An input that takes a minute is a hang."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"an input took {HANG_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def corpus(target: str) -> list[Path]:
    return sorted((CORPUS / target).iterdir())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_every_input_is_taken_or_refused_in_words(name: str) -> None:
    target, run = TARGETS[name], TARGETS[name].make()
    known = [path.read_bytes() for path in corpus(name)]
    drawn = inputs(known, target.words, COUNTS[name], target.longest, seed=20)
    for number, data in enumerate([b"", *known, *drawn]):
        signal.alarm(HANG_S)
        try:
            run(data)
        except Exception as error:
            raise AssertionError(f"input {number} of {name}: {error!r}; {data[:4000]!r}") from error


def test_the_seeds_are_those_that_the_generator_makes() -> None:
    """The corpus comes from simulated scans; HDF5 has time stamps and chance in its bytes, the rest is equal."""
    for name, files in seeds().items():
        for seed, content in files.items():
            found = (CORPUS / name / f"seed-{seed}").read_bytes()
            assert len(found) == len(content) if name == "hdf5" else found == content, f"{name}/seed-{seed}"


def test_a_seed_of_the_corpus_gets_through_and_is_not_refused_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets swallow refusals: of the seeds themselves hardly any may be refused, else nothing is tested."""
    from smug_recon import errors

    refused: list[str] = []
    original = errors.SmugReconError.__init__

    def noted(self: errors.SmugReconError, found: str, expected: str, remedy: str) -> None:
        refused.append(found)
        original(self, found, expected, remedy)

    monkeypatch.setattr(errors.SmugReconError, "__init__", noted)
    for name in ("handshake", "header", "card", "tables", "chain"):
        run = TARGETS[name].make()
        for path in corpus(name):
            if path.name.startswith("seed-"):
                refused.clear()
                run(path.read_bytes())
                assert not refused or (name == "handshake" and "end of the stream" in refused[-1]), (
                    path,
                    refused,
                )


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris: pip install 'smug-recon[fuzz]' (Linux)"
)
def test_the_command_runs_a_target_under_coverage() -> None:
    command = [sys.executable, Path(__file__).with_name("fuzz.py"), "mrdstream", "--runs", "200"]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert '"target": "mrdstream"' in ran.stdout, ran.stdout + ran.stderr
    assert '"exit": 0' in ran.stdout and '"edges": 0' not in ran.stdout, ran.stdout
