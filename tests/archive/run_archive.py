"""``python run_archive.py SOURCE OUT``: an archive with the fakes on two workers, for a test that kills it."""

from __future__ import annotations

import sys
from functools import partial

from archive_trees import FAKE

from smug_recon.archive import run
from smug_recon.archive.cluster import Where
from smug_recon.archive.order import order_of
from smug_recon.archive.plan import Terms
from smug_recon.archive.warm import WarmPool

if __name__ == "__main__":
    run.WarmPool = partial(WarmPool, command=FAKE)  # type: ignore[misc,assignment]
    outcome = run.archive(order_of(None, {"device": "cpu"}), Terms(*sys.argv[1:3]), Where(None, 2, 1, 0))
    print(outcome.tasks)
