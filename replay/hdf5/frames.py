"""What the reading process and its parent say to each other over pipes: requests in lines, answers in frames.

A request is a line of JSON. A frame is a note, a JSON object whose ``kind`` says what it is, and bytes behind it:

    answer   what was asked for          end    an iteration is over
    error    one of ``errors.py``        log    a line for the log of the parent
"""

from __future__ import annotations

import json
import os
import struct
from io import BufferedIOBase
from typing import Any

from smug_recon.errors import DataError

HEAD = struct.Struct("<IQ")
"""Bytes of the note, bytes behind it."""
MOST_NOTE_BYTES = 16 << 20
MOST_BYTES = 1 << 32
"""A frame that claims more comes from a process that is out of its mind."""

Note = dict[str, Any]
Piece = tuple[Note, bytes]


def write_request(descriptor: int, *words: Any) -> None:
    """Write a request; OSError if nobody is there to read it."""
    _write(descriptor, json.dumps(words).encode() + b"\n")


def write_frame(descriptor: int, note: Note, content: bytes = b"") -> None:
    """Write a frame; OSError if nobody is there to read it."""
    text = json.dumps(note).encode()
    _write(descriptor, HEAD.pack(len(text), len(content)) + text)
    _write(descriptor, content)


def read_frame(source: BufferedIOBase) -> Piece | None:
    """The next frame, None at the end of the pipe. DataError for a frame that is none."""
    head = source.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    note_bytes, content_bytes = HEAD.unpack(head)
    if note_bytes > MOST_NOTE_BYTES or content_bytes > MOST_BYTES:
        raise DataError(
            f"a piece of {content_bytes} bytes",
            f"at most {MOST_BYTES}",
            "the raw file is damaged: copy it again",
        )
    text = source.read(note_bytes)
    content = source.read(content_bytes)
    if len(text) + len(content) < note_bytes + content_bytes:
        return None
    return json.loads(text), content


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
