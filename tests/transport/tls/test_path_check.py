"""OpenSSL's path check on a chain without a handshake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from sipmesh.demo.forge import Forge
from sipmesh.transport.tls.path_check import path_errors

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FORGE = Forge(NOON)
ISSUER = FORGE.organisation("Example")
ROOT = ISSUER.issuer
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def codes(at: datetime = NOON) -> list[int]:
    assert ROOT is not None
    chain = FORGE.server(ISSUER, "fe1.example.test").chain
    return [one.code for one in path_errors(chain, [ROOT.certificate], at)]


def test_chain_to_an_anchor_has_no_error() -> None:
    assert codes() == []


def test_chain_to_an_unknown_anchor_has_an_error() -> None:
    stranger = FORGE.organisation("Stranger")
    assert stranger.issuer is not None
    (error,) = path_errors(FORGE.server(ISSUER, "fe1.example.test").chain, [stranger.issuer.certificate], NOON)
    assert error.code == 20
    assert "unable to get local issuer" in error.text
    (alone,) = path_errors(FORGE.server(ISSUER, "fe1.example.test").chain, [], NOON)
    assert alone.code == 20


@pytest.mark.parametrize(("after", "code"), [(30 * DAY - SECOND, None), (30 * DAY + SECOND, 10), (-DAY, 9)])
@pytest.mark.parametrize("hours", [0, 9])
def test_check_uses_the_callers_time_in_any_time_zone(after: timedelta, code: int | None, hours: int) -> None:
    assert codes(at=(NOON + after).astimezone(timezone(timedelta(hours=hours)))) == ([code] if code else [])
