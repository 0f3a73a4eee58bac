"""Changes to an input, drawn from a seed: the same seed gives the same inputs on every machine."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence

NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    15,
    16,
    127,
    128,
    255,
    256,
    1023,
    4096,
    32767,
    32768,
    65535,
    1 << 31,
    (1 << 32) - 1,
    1 << 62,
)


def inputs(
    seeds: Sequence[bytes], words: Sequence[bytes], count: int, longest: int, seed: int = 0
) -> Iterator[bytes]:
    """``count`` inputs: seeds with one to eight changes."""
    draw = random.Random(seed)
    for _ in range(count):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.choice((1, 1, 2, 3, 5, 8))):
            change(data, seeds, words, draw)
        yield bytes(data[:longest])


def change(data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes], draw: random.Random) -> None:
    """One change in place."""
    at, kind = draw.randrange(len(data) + 1), draw.randrange(9)
    length = min(draw.choice((1, 2, 4, 8, 16, 64, 340, 1024)), len(data) - at)
    if kind == 0:
        data[at : at + 1] = bytes([draw.randrange(256)])
    elif kind == 1:
        width = draw.choice(("<B", "<H", "<I", "<Q", ">H", ">I"))
        value = struct.pack(width, draw.choice(NUMBERS) & ((1 << 8 * struct.calcsize(width)) - 1))
        data[at : at + len(value)] = value
    elif kind == 2:
        del data[at : at + length]
    elif kind == 3:
        data[at:at] = data[at : at + length]
    elif kind == 4:
        del data[at:]
    elif kind == 5 and words:
        data[at:at] = draw.choice(words)
    elif kind == 6 and words:
        word = draw.choice(words)
        data[at : at + len(word)] = word
    elif kind == 7:
        other = draw.choice(seeds)
        start = draw.randrange(len(other) + 1)
        data[at : at + length] = other[start : start + draw.choice((1, 8, 64, 1024))]
    elif data:
        spot = draw.randrange(len(data))
        data[spot] ^= 1 << draw.randrange(8)
