"""The queue on disk: what is to be sent, what has been, what was set aside; survives any end of the process.

    FOLDER/queue.sqlite     one row for every instance and destination
    FOLDER/objects/         copies of the files that are still needed
    FOLDER/*.lock           held by the one process that sends to a destination

An instance is in the queue once ``put`` returns: copy and row are on the disk by then. It leaves by the row: the copy is
removed afterwards, and one that no row names is removed when the queue is opened.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smug_recon.errors import DataError
from smug_recon.pacs.files import Instance
from smug_recon.pacs.objects import Objects
from smug_recon.pacs.table import Table

WAITING, ASKING, STORED, COMMITTED, ASIDE = "waiting", "asking", "stored", "committed", "aside"
"""To be sent; stored and commitment outstanding; stored; stored and committed; set aside with a reason."""

STATES = (WAITING, ASKING, STORED, COMMITTED, ASIDE)
DONE = (STORED, COMMITTED)
HISTORY = 200_000
"""So many finished instances are remembered, that none of them is sent twice."""


@dataclass(frozen=True)
class Job:
    """One instance of the queue; ``number`` names it in the log."""

    number: int
    uid: str
    sop_class: str
    syntax: str
    path: Path
    attempts: int
    state: str
    reason: str


class Queue:
    """The instances for all destinations in a folder; safe to use from several threads and processes."""

    def __init__(self, folder: Path, most_instances: int = 100_000, most_bytes: int = 50 * 2**30) -> None:
        self.folder, self._most, self._most_bytes = folder, most_instances, most_bytes
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)  # what lies in it names patients
            self._objects = Objects(folder / "objects")
            self._table = Table(folder / "queue.sqlite")
            with self.change() as base:
                needed = base.execute("SELECT object FROM instances WHERE state NOT IN (?,?)", DONE)
                self._objects.sweep({row[0] for row in needed})
        except (OSError, sqlite3.Error) as error:
            raise DataError(
                f"a queue that cannot be opened in {folder} ({getattr(error, 'strerror', None) or error})",
                "a folder on a local disk that this user may write to",
                "choose another queue",
            ) from None

    def close(self) -> None:
        """Let go of the file."""
        self._table.close()

    def change(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        """One transaction, of which no other thread or process sees half; DataError if the disk does not take it."""
        return self._table.change()

    def put(self, peer: str, found: Instance, again: bool = False) -> bool:
        """Take an instance over; False if it is in the queue or was sent already (``again``: send it once more).

        Raises:
            DataError: no room; or another object has had the same SOP Instance UID.
        """
        with self.change() as base:
            row = base.execute("SELECT * FROM instances WHERE peer=? AND uid=?", (peer, found.uid)).fetchone()
            if row is not None and row["state"] != ASIDE:
                if row["digest"] != found.digest:
                    raise DataError(
                        f"another object under the SOP Instance UID {found.uid}, {row['state']} before",
                        "one object for one UID",
                        "write the images again, so that they get UIDs of their own",
                    )
                if row["state"] not in DONE or not again:
                    return False
            self._room(base, found.size)
            name = self._objects.copied(found)
            values = (found.sop_class, found.syntax, found.digest, found.size, name, WAITING, time.time())
            if row is None:
                base.execute(
                    "INSERT INTO instances(sop_class, syntax, digest, size, object, state, changed, peer, uid)"
                    " VALUES(?,?,?,?,?,?,?,?,?)",
                    (*values, peer, found.uid),
                )
            else:
                base.execute(
                    "UPDATE instances SET sop_class=?, syntax=?, digest=?, size=?, object=?, state=?, changed=?,"
                    " attempts=0, due=0, reason='', ask=NULL, asks=0 WHERE number=?",
                    (*values, row["number"]),
                )
        if row is not None:
            self._objects.remove(row["object"])
        return True

    def due(self, peer: str, latest_s: float) -> Job | None:
        """The instance to be sent next, None if none is due; ``latest_s`` is the longest pause there can be."""
        now = time.time()  # a clock that was set back keeps nothing waiting for longer than that pause
        found = self.jobs(
            "peer=? AND state=? AND (due<=? OR due>?) ORDER BY due, number LIMIT 1",
            (peer, WAITING, now, now + latest_s),
        )
        return found[0] if found else None

    def kinds(self, peer: str) -> list[tuple[str, str]]:
        """SOP class and transfer syntax of what waits, what is due first in front."""
        query = (
            "SELECT sop_class, syntax FROM instances WHERE peer=? AND state=?"
            " GROUP BY sop_class, syntax ORDER BY MIN(due), MIN(number)"
        )
        return [(row[0], row[1]) for row in self._table.rows(query, (peer, WAITING))]

    def next_s(self, peer: str) -> float | None:
        """Seconds until something is due, None if nothing waits and no commitment is outstanding."""
        ((due,),) = self._table.rows(
            "SELECT MIN(due) FROM instances WHERE peer=? AND state IN (?,?)", (peer, WAITING, ASKING)
        )
        return None if due is None else max(0.0, due - time.time())

    def sent(self, job: Job, reason: str, ask: bool) -> None:
        """The peer has stored it; ``ask``: and is to be asked to keep it."""
        self.settle(job, ASKING if ask else STORED, reason, 0.0)

    def put_off(self, job: Job, reason: str, pause_s: float, attempts: int) -> bool:
        """Try it again after a pause; False if it was set aside after so many attempts."""
        if job.attempts + 1 >= attempts:
            self.set_aside(job, f"{reason}, {job.attempts + 1} times")
            return False
        self.settle(job, WAITING, reason, time.time() + pause_s, job.attempts + 1)
        return True

    def set_aside(self, job: Job, reason: str) -> None:
        """Try it no more; the copy stays."""
        self.settle(job, ASIDE, reason, 0.0, job.attempts + 1)

    def settle(
        self, job: Job, state: str, reason: str, due: float | None = None, attempts: int | None = None
    ) -> None:
        """Give an instance a state; of one that is done the copy is removed, and it is remembered that it was sent."""
        with self.change() as base:
            base.execute(
                "UPDATE instances SET state=?, reason=?, due=COALESCE(?, due), attempts=COALESCE(?, attempts),"
                " changed=? WHERE number=?",
                (state, reason, due, attempts, time.time(), job.number),
            )
            if state in DONE:
                base.execute(
                    "DELETE FROM instances WHERE state IN (?,?) AND number<=(SELECT MAX(number) FROM instances)-?",
                    (*DONE, HISTORY),
                )
        if state in DONE:
            self._objects.remove(job.path.name)

    def retry(self, peer: str) -> int:
        """Put what was set aside back into the queue; how many that are."""
        with self.change() as base:
            return base.execute(
                "UPDATE instances SET state=?, attempts=0, due=0, ask=NULL, asks=0 WHERE state=? AND peer=?",
                (WAITING, ASIDE, peer),
            ).rowcount

    def counts(self) -> dict[str, dict[str, int]]:
        """Numbers of instances by destination and state."""
        found: dict[str, dict[str, int]] = {}
        for peer, state, number in self._table.rows(
            "SELECT peer, state, COUNT(*) FROM instances GROUP BY peer, state", ()
        ):
            found.setdefault(peer, dict.fromkeys(STATES, 0))[state] = number
        return found

    def count(self, peer: str) -> dict[str, int]:
        """Numbers of instances by state for one destination."""
        return self.counts().get(peer, dict.fromkeys(STATES, 0))

    def troubled(self, peer: str, most: int = 20) -> list[Job]:
        """What was set aside, then what waits after a failure; the latest first."""
        return self.jobs(
            "peer=? AND (state=? OR (state=? AND reason!='')) ORDER BY state, changed DESC LIMIT ?",
            (peer, ASIDE, WAITING, most),
        )

    def jobs(self, which: str, values: Sequence[object]) -> list[Job]:
        """The instances that an SQL condition names."""
        query = f"SELECT number, uid, sop_class, syntax, object, attempts, state, reason FROM instances WHERE {which}"
        return [
            Job(number, uid, sop_class, syntax, self._objects.folder / name, attempts, state, reason)
            for number, uid, sop_class, syntax, name, attempts, state, reason in self._table.rows(
                query, values
            )
        ]

    @contextlib.contextmanager
    def turn(self, peer: str) -> Iterator[bool]:
        """Whether this process is the one that sends to a destination; the system lets go of it if the process dies."""
        name = hashlib.sha256(peer.encode()).hexdigest()[:16]
        with (self.folder / f"{name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True

    def _room(self, base: sqlite3.Connection, size: int) -> None:
        held, taken = base.execute(
            "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM instances WHERE state NOT IN (?,?)", DONE
        ).fetchone()
        if held >= self._most or taken + size > self._most_bytes:
            raise DataError(
                f"a full queue: {held} instances, {taken / 2**20:.0f} MiB",
                f"at most {self._most} instances and {self._most_bytes / 2**20:.0f} MiB",
                "see smug-recon send --status for what holds it up",
            )
