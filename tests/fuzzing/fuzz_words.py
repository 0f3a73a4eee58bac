"""Words of the languages that the fuzz targets are spoken to in: messages, numbers, XML, configurations, YAML."""

from __future__ import annotations

import struct


def _ids(*numbers: int) -> tuple[bytes, ...]:
    return tuple(struct.pack("<H", number) for number in numbers)


def _words(text: str) -> tuple[bytes, ...]:
    return tuple(text.encode().split(b"|"))


MESSAGES = _ids(1, 2, 3, 4, 5, 8, 1008, 1022, 1023, 1024, 1026, 1030, 1050, 1051, 1054)
BIG = (
    b"\xff" * 8,
    b"\xff" * 4,
    b"\xff\xff",
    b"\0" * 8,
    struct.pack("<Q", 1 << 40),
    struct.pack("<d", float("nan")),
)
XML = _words(
    '<?xml version="1.0"?>|<!DOCTYPE a [|<!ENTITY b "c">|]>|&b;|&#0;|&#x41;|<![CDATA[|]]>|<!--|-->|encoding="utf-16"|'
    'encoding="latin-1"|xmlns="http://www.ismrm.org/ISMRMRD"|<ismrmrdHeader|</ismrmrdHeader>|<encoding>|</encoding>|'
    "<matrixSize>|<x>|</x>|<encodedSpace>|<trajectory>epi</trajectory>|<parallelImaging>|<encodingLimits>|NaN|INF|-1|"
    "1e308|99999999999999999999|<minimum>|<maximum>|<center>|<multiband>|0.5|<userParameters>"
)
CONFIGURATION = _words(
    "<configuration>|</configuration>|<property name=|<name>|<value>| value=|<external>|<connect/>|<execute name=|"
    "smug_recon.gadgets|pipeline|images.type|float32|samples|seed|<stream>|model.file|smug-cartesian|.xml|{|}|"
    '{"parameters": {|"config": |"images": {|null|true|1e999'
)
YAML = _words(
    "&a |*a|<<: *a|!!python/object/apply:os.system [a]|!!binary |!!timestamp |2001-99-99|!!int |0x|1:1:1|.nan|.inf|!!set|"
    "!!omap|? |---|...|%YAML 9.9|[[[[[[[[|{{{{{{{{|- - - - |model:|sha256:|images:|coil_compression:|method: svd|samples:|"
    "energy: |1e999|!!float |0b|~|%TAG ! tag:|\0|="
)
