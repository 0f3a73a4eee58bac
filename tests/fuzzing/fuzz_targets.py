"""What is fuzzed: functions that take the bytes of one input and let no error through but those of ``smug_recon.errors``.

    wire        the readers of every message behind a connection, and the writers on what they read
    handshake   a Gadgetron <connect>: configuration, header, pipeline of the properties
    opening     a session of FIRE, gadgetron_ismrmrd_client or Gadgetron at the session server, up to its pipeline
    header      the MRD header: parsed, mended, units, the plan
    pipeline    a pipeline file (YAML) and, behind a NUL, KEY=VALUE overrides line by line
    mrdstream   an ISMRMRD stream as a raw file
    spool       the stream of a spool: messages of hosts and of Gadgetron's front end
    hdf5        the bytes of an ISMRMRD or fastMRI HDF5 file, in a second process and, if it survives that, in the first
    tables      an HDF5 file built from the input: any shapes, types and values where a raw file has its own
    card        a model file: what is read of it before its hash is known
    chain       a scan of a few lines, edited by the input, through the whole chain

Each is made by a function that imports what it needs, so that a fuzzer instruments no more than it drives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fuzz_files import card, hdf5, mrdstream, pipeline, spool, tables
from fuzz_sessions import chain, handshake, header, opening, wire
from fuzz_words import BIG, CONFIGURATION, MESSAGES, XML, YAML


@dataclass(frozen=True)
class Target:
    """One thing that is fuzzed: how to make its function, words of its language, the longest input in bytes."""

    make: Callable[[], Callable[[bytes], None]]
    words: tuple[bytes, ...] = ()
    longest: int = 4096


TARGETS: dict[str, Target] = {
    "wire": Target(wire, MESSAGES + BIG),
    "handshake": Target(handshake, MESSAGES + BIG + XML + CONFIGURATION),
    "opening": Target(opening, MESSAGES + BIG + XML + CONFIGURATION),
    "header": Target(header, XML, 8192),
    "pipeline": Target(pipeline, YAML),
    "mrdstream": Target(mrdstream, MESSAGES + BIG),
    "spool": Target(spool, MESSAGES + BIG),
    "hdf5": Target(hdf5, (*BIG, b"OHDR", b"TREE", b"HEAP", b"SNOD", b"GCOL", b"\x89HDF\r\n\x1a\n"), 20000),
    "tables": Target(tables, BIG, 256),
    "card": Target(card, (*BIG, b"PK\1\2", b"PK\3\4", b"PK\5\6", b"/extra/card.json", b"[[[[[[[["), 8192),
    "chain": Target(chain, BIG, 128),
}
