"""The journal: written first, one signature a ticket, and nothing forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sipmesh.database.shared import SharedDatabase
from sipmesh.errors import LocalError, NotLeadingError, OperatorError
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.ledger.ledger import FENCED, Ledger
from support.tiers import wide_after

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(
    name="ledger", params=wide_after(1, ["file", pytest.param("shared", marks=pytest.mark.peer("postgresql"))])
)
def _ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """A ledger in a file, and one in the database of a management pool."""
    made = Ledger.create(tmp_path, {"organisation": "Example"})
    if request.param == "file":
        return made
    shared = SharedDatabase(request.getfixturevalue("postgres_url"), "mgmt1.example.test")
    made.copy_to(ledger := Ledger(tmp_path, shared))
    return ledger


only_file = pytest.mark.parametrize("ledger", ["file"], indirect=True)


def reserve(ledger: Ledger, serial: int, at: datetime) -> None:
    ledger.reserve(
        serial, CertificateKind.ISSUING, CertificateKind.SERVER, ("fe1.example.test",), (at, at + timedelta(days=1)), at
    )


def test_facts_are_kept(ledger: Ledger) -> None:
    assert ledger.facts() == {"organisation": "Example"}


def test_a_reserved_certificate_is_known_before_it_exists(ledger: Ledger, noon: datetime) -> None:
    reserve(ledger, 0xABC, noon)
    (record,) = ledger.records()
    assert (record.serial_hex, record.der, record.names) == ("abc", None, ("fe1.example.test",))
    assert record.not_after == noon + timedelta(days=1)


def test_an_issued_certificate_is_kept_whole(ledger: Ledger, noon: datetime) -> None:
    reserve(ledger, 0xABC, noon)
    ledger.issued(0xABC, b"der")
    assert ledger.records()[0].der == b"der"


def test_a_serial_is_reserved_once(ledger: Ledger, noon: datetime) -> None:
    reserve(ledger, 0xABC, noon)
    with pytest.raises(OperatorError, match=r"(?i)unique"):
        reserve(ledger, 0xABC, noon)


def test_a_revocation_is_noted_once(ledger: Ledger, noon: datetime) -> None:
    reserve(ledger, 0xABC, noon)
    assert ledger.revoke(0xABC, "superseded", noon)
    assert not ledger.revoke(0xABC, "key-compromise", noon)
    assert ledger.records()[0].reason == "superseded"
    assert ledger.revocations(CertificateKind.ISSUING) == 1
    assert ledger.revocations(CertificateKind.ROOT) == 0


def test_crls_are_numbered_by_issuer(ledger: Ledger, noon: datetime) -> None:
    assert ledger.last_list(CertificateKind.ROOT) is None
    numbers = [
        ledger.reserve_list(kind, noon, noon).number
        for kind in (CertificateKind.ROOT, CertificateKind.ISSUING, CertificateKind.ISSUING)
    ]
    first = ledger.fencing * FENCED or 1
    assert numbers == [first, first, first + 1]
    assert ledger.last_list(CertificateKind.ISSUING) is not None


def test_instant_without_a_timezone_is_a_local_error(ledger: Ledger, noon: datetime) -> None:
    with pytest.raises(LocalError, match="timezone"):
        reserve(ledger, 0xABC, noon.replace(tzinfo=None))
    assert ledger.records() == ()


def test_numbers_jump_for_each_issuer_that_has_a_crl(ledger: Ledger, noon: datetime) -> None:
    last = ledger.reserve_list(CertificateKind.ISSUING, noon, noon).number
    ledger.jump(1000)
    assert ledger.reserve_list(CertificateKind.ISSUING, noon, noon).number == last + 1001
    ledger.jump(0, 7)
    assert ledger.reserve_list(CertificateKind.ISSUING, noon, noon).number == 7 * FENCED + 1
    assert ledger.last_list(CertificateKind.ROOT) is None


def test_crl_number_beyond_the_clock_is_refused_until_its_row_is_removed(ledger: Ledger, noon: datetime) -> None:
    """After the last number of the database there would be no CRL any more, and no revocation."""
    last = ledger.reserve_list(CertificateKind.ISSUING, noon, noon).number
    table, row = ledger._tables.lists, (str(CertificateKind.ISSUING), 2**63 - 2, noon.isoformat(), noon.isoformat(), 0)
    with ledger._writing() as db:
        db.execute(table.insert().values(row))
    why = f"CRL number {2**63 - 2} is beyond .* remove the rows of {table.name} with a number over {last}"
    with pytest.raises(OperatorError, match=why):
        ledger.reserve_list(CertificateKind.ISSUING, noon, noon, above=last)
    with ledger._writing() as db:
        db.execute(table.delete().where(table.c.number > last))
    assert ledger.reserve_list(CertificateKind.ISSUING, noon, noon, above=last).number == last + 1


@pytest.mark.peer("postgresql")
def test_ledger_of_a_pool_is_written_by_its_leader_only(tmp_path: Path, postgres_url: str, noon: datetime) -> None:
    leader, follower = (Ledger(tmp_path, SharedDatabase(postgres_url, f"mgmt{n}.example.test")) for n in (1, 2))
    reserve(leader, 0xABC, noon)
    with pytest.raises(NotLeadingError, match=r"mgmt1\.example\.test leads"):
        reserve(follower, 0xDEF, noon)
    assert [record.serial for record in follower.records()] == [0xABC]


@only_file
def test_damaged_ledger_is_an_operator_error(ledger: Ledger) -> None:
    ledger.file.write_bytes(b"no database" * 100)
    with pytest.raises(OperatorError, match="restore the ledger"):
        ledger.records()


def test_a_very_large_serial_is_kept(ledger: Ledger, noon: datetime) -> None:
    """159 bits do not fit into an integer of SQLite's."""
    reserve(ledger, 2**159 - 1, noon)
    assert ledger.records()[0].serial == 2**159 - 1


@pytest.mark.parametrize(
    "change",
    wide_after(
        3,
        [
            "names = '[]'",
            "names = 'x'",
            "not_before = 'x'",
            "not_after = '2026-01-01'",
            "not_after = '9999-12-31T23:59:59+00:00'",
            "revoked_at = '0001-01-01T00:00:00+00:00'",
        ],
    ),
)
def test_row_that_cannot_be_read_is_passed_over_and_named(ledger: Ledger, noon: datetime, change: str) -> None:
    reserve(ledger, 0xABC, noon)
    with ledger._writing() as db:
        db.exec_driver_sql(f"UPDATE {ledger._tables.certificates.name} SET {change}")  # noqa: S608 - our own table
    reserve(ledger, 0xDEF, noon)
    assert [record.serial for record in ledger.records()] == [0xDEF]
    [row] = ledger.unreadable_rows()
    assert "the certificate abc cannot be read" in row.reason


@pytest.mark.parametrize("serial", wide_after(2, ["zz", "-5", "0", "f" * 40]))
def test_serial_that_no_certificate_has_is_passed_over_and_named(ledger: Ledger, noon: datetime, serial: str) -> None:
    reserve(ledger, 0xABC, noon)
    with ledger._writing() as db:
        db.exec_driver_sql(f"UPDATE {ledger._tables.certificates.name} SET serial = '{serial}'")  # noqa: S608 - our own table
    assert ledger.records() == ()
    [row] = ledger.unreadable_rows()
    assert f"the certificate {serial} cannot be read" in row.reason


def test_crl_that_cannot_be_read_is_passed_over_and_its_number_is_not_used_again(
    ledger: Ledger, noon: datetime
) -> None:
    first, second = (ledger.reserve_list(CertificateKind.ISSUING, noon, noon) for _ in range(2))
    table = ledger._tables.lists.name
    with ledger._writing() as db:
        db.exec_driver_sql(f"UPDATE {table} SET next_update = 'x' WHERE number = {second.number}")  # noqa: S608 - our own table
    assert ledger.last_list(CertificateKind.ISSUING) == first.record
    assert ledger.reserve_list(CertificateKind.ISSUING, noon, noon).number == second.number + 1
