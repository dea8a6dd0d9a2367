"""Who an entry is, and whether it gives access, in Active Directory and in OpenLDAP."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from sipmesh.server.directory.schema import SCHEMAS
from sipmesh.topology.document.parts.directory import DirectoryKind

AT = datetime(2026, 12, 1, 12, tzinfo=UTC)
AD, OPENLDAP = SCHEMAS[DirectoryKind.ACTIVE_DIRECTORY], SCHEMAS[DirectoryKind.OPENLDAP]
TICKS_AT = int((AT - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000
DAYS_AT = (AT.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days


@pytest.mark.parametrize(
    ("control", "expires", "ended_by"),
    [
        (512, 0, ""),
        (514, 0, "disabled"),
        (512, 0x7FFF_FFFF_FFFF_FFFF, ""),
        (512, 0x7FFF_FFFF_FFFF_FFFE, ""),
        (512, TICKS_AT, "expired"),
        (512, TICKS_AT + 10, ""),
        (66_050, TICKS_AT, "disabled"),
    ],
)
def test_active_directory(control: int, expires: int, ended_by: str) -> None:
    given = {"useraccountcontrol": [str(control).encode()], "accountexpires": [str(expires).encode()]}
    assert AD.ended_by(given, AT) == ended_by


@pytest.mark.parametrize(
    ("given", "ended_by"),
    [
        ({}, ""),
        ({"pwdaccountlockedtime": [b"000001010000Z"]}, "disabled"),
        ({"nsaccountlock": [b"true"]}, "disabled"),
        ({"nsaccountlock": [b"FALSE"]}, ""),
        ({"logindisabled": [b"TRUE"]}, "disabled"),
        ({"shadowexpire": [b"-1"]}, ""),
        ({"shadowexpire": [str(DAYS_AT).encode()]}, "expired"),
        ({"shadowexpire": [str(DAYS_AT + 1).encode()]}, ""),
        ({"shadowexpire": [b"99999999999"]}, ""),
    ],
)
def test_openldap(given: dict[str, list[bytes]], ended_by: str) -> None:
    assert OPENLDAP.ended_by(given, AT) == ended_by


@pytest.mark.parametrize(
    "given",
    [
        {"useraccountcontrol": [b"x"], "accountexpires": [b"0"]},
        {"useraccountcontrol": [b"512"], "accountexpires": [b"\xff"]},
        {"accountexpires": [b"0"]},
        {"useraccountcontrol": [b"512"]},
        {},
    ],
)
def test_value_that_cannot_be_read_is_an_error(given: dict[str, list[bytes]]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - from the standard library
        AD.ended_by(given, AT)


@pytest.mark.parametrize(("schema", "value"), [(AD, bytes(range(16))), (OPENLDAP, str(UUID(int=7)).encode())])
def test_identity_is_read_and_written(schema: object, value: bytes) -> None:
    kind = AD if schema is AD else OPENLDAP
    assert kind.value_of(kind.id_of(value)) == value
    with pytest.raises(ValueError):  # noqa: PT011 - from the standard library
        kind.id_of(b"short")
