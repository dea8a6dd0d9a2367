"""Certificates that were issued: counted by day, replaced once, and forgotten after their life."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.storage.enrolment.enrolled_certificates import A_DAY_S, KEPT_S, EnrolledCertificates
from storage.enrolment.rows import AT, BOT, OTHER, certificate


@pytest.fixture(name="database")
def _database(url: str) -> Iterator[Database]:
    database = Database(url, "things")
    yield database
    database.close()


def test_certificates_of_a_day_are_counted_by_name(database: Database) -> None:
    issued = EnrolledCertificates(database, Lease(database))
    for serial, at in (("1", AT), ("2", AT + A_DAY_S - 1)):
        issued.add(certificate(serial, at))
    issued.add(certificate("3", server=OTHER))
    assert [issued.of_last_day(BOT, AT + A_DAY_S + late) for late in (-1, 0)] == [2, 1]
    assert (issued.since(BOT, AT), issued.since(BOT, AT - 1)) == (1, 2)
    assert issued.find("1") == certificate("1")
    issued.add(certificate("4", AT + KEPT_S + 1))
    assert issued.find("1") is None


def test_certificate_says_which_one_has_replaced_it(database: Database) -> None:
    issued = EnrolledCertificates(database, Lease(database))
    issued.add(certificate("1"))
    issued.add(certificate("2"), replaces="1")
    first, second = issued.find("1"), issued.find("2")
    assert first is not None
    assert second is not None
    assert (first.replaced_by, second.replaced_by) == ("2", "")
