"""Names beside the lines of a figure stay apart, in order and inside."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smug_recon.robustness.page.labels import spread


@given(
    st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=12),
    st.floats(0.001, 0.3),
)
def test_labels_stay_apart_in_order_and_inside(wanted: list[float], gap: float) -> None:
    found = spread(wanted, gap, 0.0, 1.0)
    room = min(gap, 1 / max(len(wanted) - 1, 1))
    assert min(found) > -1e-9 and max(found) < 1 + 1e-9
    places = sorted(found)
    assert all(b - a > room - 1e-9 for a, b in pairwise(places))
    order = np.argsort(wanted, kind="stable")
    assert [found[place] for place in order] == places
    if len(wanted) == 1 and 0 <= wanted[0] <= 1:
        assert found == wanted
