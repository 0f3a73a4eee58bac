"""The timeline of a session: no second is lost however often its intervals double."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smug_recon.gadgets.flow.timeline import Timeline

SPANS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 50)), min_size=1, max_size=30)


@given(spans=SPANS)
def test_every_second_is_kept(spans: list[tuple[str, float]]) -> None:
    timeline, at, spent = Timeline(100.0, bins=16, width_s=0.01), 100.0, dict.fromkeys("abc", 0.0)
    for name, seconds in spans:
        timeline.add(name, at, at + seconds)
        timeline.count("item", at)
        spent[name] += seconds
        at += seconds
    found = timeline.as_dict()
    for name, row in found["seconds"].items():
        assert sum(row) == pytest.approx(spent[name], abs=1e-4)
        assert len(row) <= 16 and max(row) <= found["width_s"] * 1.001
    assert sum(found["events"]["item"]) == len(spans)
    assert found["end_s"] == pytest.approx(at - 100.0, abs=1e-5)
    together = [sum(bins) for bins in zip(*found["seconds"].values(), strict=True)]
    assert all(seconds <= found["width_s"] * 1.001 + 1e-5 for seconds in together)  # one thing at a time


def test_something_lies_where_it_happened() -> None:
    timeline = Timeline(0.0, bins=8, width_s=1.0)
    timeline.add("early", 0.5, 1.5)
    timeline.add("late", 14.0, 16.0)
    found = timeline.as_dict()
    assert found["width_s"] == 2.0
    assert found["seconds"]["early"] == [1.0, 0, 0, 0, 0, 0, 0, 0]
    assert found["seconds"]["late"] == [0, 0, 0, 0, 0, 0, 0, 2.0]
