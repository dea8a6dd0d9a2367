"""Records as CSV (RFC 4180), for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime

from sipmesh.csv_cell import csv_cell
from sipmesh.storage.call_records.call_record import CallRecord
from sipmesh.typed_json import members


def csv_of(records: Sequence[CallRecord]) -> str:
    """Write CSV, times in UTC; a spreadsheet calculates none of its cells."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(CallRecord.__dataclass_fields__)
    for record in records:
        writer.writerow([_cell(value) for value in members(record).values()])
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    text = " ".join(value) if isinstance(value, list | tuple) else str(value)
    return csv_cell(text)
