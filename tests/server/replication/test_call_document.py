"""What a server may deliver: its own records, and those of the edges behind it."""

from __future__ import annotations

import json

import pytest

from sipmesh.errors import RemoteError
from sipmesh.server.replication.call_document import LONGEST, CallDocument
from sipmesh.storage.call_records.journal_reader import MOST_IN_BATCH
from support.network import EDGE, FE1, FE2
from support.recording import record, up


def body(*records: object, server: str = FE1) -> bytes:
    return json.dumps(CallDocument(server, records).to_json()).encode()  # type: ignore[arg-type]


def test_document_is_read_as_it_was_written() -> None:
    made = (record(), up(), record(server=EDGE, hops=()))
    assert tuple(CallDocument.read(body(*made), FE1, {EDGE}).records) == made


@pytest.mark.parametrize("server", [EDGE, FE2])
def test_records_of_other_servers_are_refused(server: str) -> None:
    with pytest.raises(RemoteError, match=f"records of {server} from {FE1}") as refused:
        CallDocument.read(body(record(), record(server=server)), FE1, set())
    assert refused.value.status == 403


def test_document_in_the_name_of_another_server_is_refused() -> None:
    with pytest.raises(RemoteError, match=f"records of {FE2} from {FE1}"):
        CallDocument.read(body(server=FE2), FE1, set())


@pytest.mark.parametrize(
    "given",
    [b"", b"[]", b"{", b'{"server": "fe1.example.test"}', b'{"server": 1, "records": []}', b"[" * 10_000, b"\xff"],
)
def test_what_is_no_document_is_refused(given: bytes) -> None:
    with pytest.raises(RemoteError, match="records that cannot be read"):
        CallDocument.read(given, FE1, set())


@pytest.mark.parametrize(("count", "is_read"), [(MOST_IN_BATCH, True), (MOST_IN_BATCH + 1, False)])
def test_records_of_a_document_are_bounded(count: int, *, is_read: bool) -> None:
    given = body(*[record(id=str(number)) for number in range(count)])
    try:
        assert len(CallDocument.read(given, FE1, set()).records) == count
    except RemoteError:
        assert not is_read
    else:
        assert is_read


def test_octets_of_a_document_are_bounded() -> None:
    with pytest.raises(RemoteError) as refused:
        CallDocument.read(b" " * (LONGEST + 1), FE1, set())
    assert refused.value.status == 413
