"""A pipeline file of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

SHA = "ab" * 32


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def writer(settings: Any = None, text: str | None = None, **changes: Any) -> Path:
        path = tmp_path / "own.yaml"
        content = {"model": {"sha256": SHA}, **changes} if settings is None else settings
        path.write_text(yaml.safe_dump(content) if text is None else text)
        return path

    return writer
