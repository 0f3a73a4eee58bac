"""A file is there whole or not at all."""

from __future__ import annotations

import os

import pytest

from smug_recon.whole_file import whole_file


def test_it_has_its_name_only_at_the_end(tmp_path):
    path = tmp_path / "images.gif"
    with whole_file(path) as unfinished:
        unfinished.write_bytes(b"half")
        assert not path.exists() and unfinished.parent == tmp_path
        unfinished.write_bytes(b"whole")
    assert path.read_bytes() == b"whole" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stage", ["before it is opened", "in the middle"])
def test_what_fails_leaves_the_file_of_before(tmp_path, stage):
    path = tmp_path / "report.html"
    path.write_bytes(b"of before")
    with pytest.raises(KeyboardInterrupt), whole_file(path) as unfinished:
        if stage == "in the middle":
            unfinished.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"of before" and list(tmp_path.iterdir()) == [path]


def test_writers_of_one_file_do_not_write_over_each_other(tmp_path):
    path = tmp_path / "job.json"
    with whole_file(path, shared=True) as mine, whole_file(path) as theirs:
        assert mine != theirs and str(os.getpid()) in mine.name
        mine.write_bytes(b"same")
        theirs.write_bytes(b"same")
    assert path.read_bytes() == b"same" and list(tmp_path.iterdir()) == [path]
