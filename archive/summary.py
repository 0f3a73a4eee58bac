"""What an archive leaves to look at: a table as CSV and Parquet, and the index page. Written a batch of scans at a time."""

from __future__ import annotations

import csv
import itertools
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from smug_recon.archive.page import Pages
from smug_recon.archive.record import Record
from smug_recon.archive.results import Results

CSV, PARQUET = "scans.csv", "scans.parquet"
BATCH = 1000
COLUMNS: dict[str, pa.DataType] = {
    "path": pa.string(),
    "status": pa.string(),
    "reason": pa.string(),
    "images": pa.int64(),
    "fallbacks": pa.int64(),
    "warnings": pa.int64(),
    "seconds": pa.float64(),
    "bytes": pa.int64(),
    "sha256": pa.string(),
    "pipeline_sha256": pa.string(),
    "model_sha256": pa.string(),
    "version": pa.string(),
    "first_warning": pa.string(),
    "cut": pa.string(),
    "attempts": pa.int64(),
}
SCHEMA = pa.schema(list(COLUMNS.items()))


def row(record: Record) -> dict[str, Any]:
    """A scan in the table; nothing of the patient is in a record."""
    return {
        "path": record.path,
        "status": record.status,
        "reason": record.reason,
        "images": record.images,
        "fallbacks": record.fallbacks,
        "warnings": len(record.warnings) + record.warnings_more,
        "seconds": record.seconds,
        "bytes": record.bytes,
        "sha256": record.sha256,
        "pipeline_sha256": record.pipeline,
        "model_sha256": record.model,
        "version": record.version,
        "first_warning": record.warnings[0] if record.warnings else "",
        "cut": record.cut,
        "attempts": record.attempts,
    }


def summarise(results: Results) -> None:
    """Write the pages and the tables in one pass over the manifest; OSError, OutputError."""
    pages, records = Pages(results), results.all_records()
    with results.scratch() as scratch:
        with (
            (scratch / CSV).open("w", newline="", encoding="utf-8") as file,
            pq.ParquetWriter(scratch / PARQUET, SCHEMA) as parquet,
        ):
            table = csv.DictWriter(file, list(COLUMNS))
            table.writeheader()
            while batch := list(itertools.islice(records, BATCH)):
                rows = [row(record) for record in batch]
                table.writerows({name: plain(value) for name, value in each.items()} for each in rows)
                parquet.write_table(pa.Table.from_pylist(rows, SCHEMA))
                pages.add(batch)
        pages.finish()
        for name in (CSV, PARQUET):
            results.keep(scratch / name, name)


def plain(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
