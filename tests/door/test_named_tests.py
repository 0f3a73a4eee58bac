"""The pages that promise something name tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = {path.name: path for path in (ROOT / "tests").glob("**/test_*.py")}
PAGES = ["raw-data.md", "reliability.md", "security.md", "fuzzing.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_test_file_that_a_page_names_exists(page: str) -> None:
    named = re.findall(
        r"`(?:tests/)?((?:[a-z_]+/)*)(test_[a-z_0-9]+\.py)", (ROOT / "docs" / page).read_text()
    )
    assert named
    for folder, name in named:
        assert name in FILES, f"docs/{page} names {name}"
        found = FILES[name].parent.relative_to(ROOT / "tests").as_posix() + "/"
        assert not folder or folder == found, f"docs/{page} names {folder}{name}, it lies in {found}"


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_with_its_file_exists(page: str) -> None:
    for name, test in re.findall(
        r"(test_[a-z_0-9]+\.py)::(test_[a-z_0-9]+)(?![a-z_0-9.])", (ROOT / "docs" / page).read_text()
    ):
        assert f"def {test}(" in FILES[name].read_text(), f"docs/{page} names {name}::{test}"
