"""How long to wait before the next attempt: exponentially longer, up to a limit, with jitter."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """``pause(n) = u min(longest, first 2^(n-1))`` with u uniform in [0.5, 1): several senders do not come at once.

    After https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/.
    """

    first_s: float
    longest_s: float
    rng: random.Random = field(default_factory=random.Random)

    def pause_s(self, failures: int) -> float:
        """Seconds after the n-th failure in a row, n from 1."""
        step = min(self.longest_s, self.first_s * 2.0 ** min(max(failures, 1) - 1, 60))
        return step * self.rng.uniform(0.5, 1.0)
