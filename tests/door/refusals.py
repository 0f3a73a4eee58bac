"""What a pipeline is refused with."""

from __future__ import annotations

from typing import Any

import pytest

from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import load_pipeline


def refused(path_or_name: Any, **overrides: Any) -> str:
    """The one line that says what is wrong with a pipeline, what was expected and what to do."""
    with pytest.raises(ConfigurationError) as caught:
        load_pipeline(path_or_name).with_overrides(overrides)
    assert caught.value.found and caught.value.expected and caught.value.remedy
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700
    return str(caught.value)
