"""CSV of records: every field, and nothing that a spreadsheet calculates."""

from __future__ import annotations

import csv
import io

from sipmesh.storage.call_records.call_csv import csv_of
from sipmesh.storage.call_records.call_record import CallRecord
from support.recording import record, up


def test_csv_has_every_field_and_no_formula() -> None:
    made = [record(callee="+4930@example.test", why='=cmd|"x"'), up()]
    first, second = csv.DictReader(io.StringIO(csv_of(made)))
    assert first["callee"] == "'+4930@example.test"
    assert first["why"].startswith("'=")
    assert (first["hops"], second["end"]) == ("fe1.example.test", "")
    assert set(first) == set(CallRecord.__dataclass_fields__)
