"""Pictures of the images that were sent: small 8-bit PNG, made in a thread of their own, the oldest forgotten first."""

from __future__ import annotations

import io
import logging
import threading
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ismrmrd

log = logging.getLogger(__name__)

WAITING = 16
"""Images that may wait to be painted; beyond that the one that has waited longest is left out."""
PER_SESSION = 24
LONGEST_SIDE = 320
MOST_BYTES = 48 << 20
"""Of all pictures together."""
LARGEST_IMAGE = 16 << 20
"""Bytes of one image; a larger one is not painted, nor held until it might be."""


class Pictures:
    """Takes images at any rate without waiting, paints what it can, and holds a bounded number of bytes."""

    def __init__(self, most_bytes: int = MOST_BYTES, waiting: int = WAITING) -> None:
        self._most_bytes, self._most_waiting = most_bytes, waiting
        self._changed = threading.Condition()
        self._waiting: deque[tuple[int, int, ismrmrd.Image]] = deque()
        self._held: OrderedDict[tuple[int, int], tuple[dict[str, Any], bytes]] = OrderedDict()
        self._bytes = 0
        self._count: Counter[int] = Counter()
        self._left_out: Counter[int] = Counter()
        self._open = True
        self._thread = threading.Thread(target=self._paint, name="paint", daemon=True)
        self._thread.start()

    def offer(self, session: int, image: ismrmrd.Image) -> None:
        """Have an image painted, or another one of those that wait left out; returns at once."""
        with self._changed:
            self._count[session] += 1
            if image.data.nbytes > LARGEST_IMAGE:
                self._left_out[session] += 1
                return
            if len(self._waiting) >= self._most_waiting:
                self._left_out[self._waiting.popleft()[0]] += 1
            self._waiting.append((session, self._count[session], image))
            self._changed.notify()

    def of(self, session: int) -> list[dict[str, Any]]:
        """Number, caption and kind of the pictures that are held, the oldest first."""
        with self._changed:
            return [about for (owner, _), (about, _) in self._held.items() if owner == session]

    def left_out(self, session: int) -> int:
        """How many images were not painted."""
        return self._left_out[session]

    def png(self, session: int, number: int) -> bytes | None:
        """A picture, None if it is not held (any more)."""
        with self._changed:
            found = self._held.get((session, number))
        return found[1] if found else None

    def forget(self, session: int) -> None:
        """Let go of everything about a session."""
        with self._changed:
            for key in [key for key in self._held if key[0] == session]:
                self._drop(key)
            self._waiting = deque(entry for entry in self._waiting if entry[0] != session)
            self._count.pop(session, None)
            self._left_out.pop(session, None)

    def close(self) -> None:
        """Paint no more."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join(5.0)

    def _paint(self) -> None:
        while True:
            with self._changed:
                while self._open and not self._waiting:
                    self._changed.wait()
                if not self._open:
                    return
                session, number, image = self._waiting.popleft()
            try:
                about, png = {"id": number, **caption(image)}, painted(image)
            except Exception as error:  # an image of another gadget, say, with a geometry that makes no sense
                log.debug("an image of session %d cannot be shown: %s", session, error)
                png = b""
            with self._changed:
                if session not in self._count:
                    continue  # forgotten meanwhile
                if png:
                    self._hold((session, number), about, png)
                else:
                    self._left_out[session] += 1

    def _hold(self, key: tuple[int, int], about: dict[str, Any], png: bytes) -> None:
        own = [held for held in self._held if held[0] == key[0]]
        if len(own) >= PER_SESSION:
            self._drop(own[0])
        self._held[key] = (about, png)
        self._bytes += len(png)
        while self._bytes > self._most_bytes and len(self._held) > 1:
            self._drop(next(iter(self._held)))

    def _drop(self, key: tuple[int, int]) -> None:
        self._bytes -= len(self._held.pop(key)[1])


def painted(image: ismrmrd.Image) -> bytes:
    """An image as it is usually looked at, its longer side at most 320 pixels."""
    from PIL.Image import Resampling

    from smug_recon.replay.results.preview import grey_pictures

    planes = grey_pictures(image)
    picture = planes[len(planes) // 2]
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def caption(image: ismrmrd.Image) -> dict[str, Any]:
    """Series, counters and fallback of an image, from what the chain wrote; no text of the scanner."""
    meta = image.meta
    roles = meta.get("DataRole") or []
    made_by = str(meta.get("SmugFallback") or meta.get("SequenceDescriptionAdditional") or "")
    series = made_by if made_by in ("SMUG", "CG-SENSE", "RSS") else "passed on"
    if "Uncertainty" in roles:
        series = "uncertainty"
    counters = [("slice", image.slice)]
    counters += [
        (name, getattr(image, name))
        for name in ("contrast", "phase", "repetition", "set")
        if getattr(image, name)
    ]
    return {
        "series": series,
        "where": ", ".join(f"{name} {value + 1}" for name, value in counters),
        "matrix": [int(image.data.shape[3]), int(image.data.shape[2])],
        "fallback": str(meta.get("SmugFallbackReason") or "")[:200] if meta.get("SmugFallback") else "",
    }
