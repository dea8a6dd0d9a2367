"""The header with a ticket: what is none is refused before GSSAPI sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.demo.forge import Forge
from sipmesh.server.kerberos.acceptor import KerberosError, KerberosService
from sipmesh.server.kerberos.negotiation import ticket_in
from support.running import on_loop


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("", "no token"),
        ("Negotiate", "no token"),
        ("Negotiate !", "no token"),
        ("Negotiate  YWJj", "no token"),
        ("Basic YTpi", "another scheme"),
    ],
)
@on_loop
async def test_header_without_a_ticket_is_refused(tmp_path: Path, header: str, why: str) -> None:
    service = KerberosService("HTTP/mgmt.example.test", "CORP.TEST", tmp_path / "keytab", tmp_path / "replays")
    with pytest.raises(KerberosError, match=why):
        await ticket_in(header, service, Forge(datetime.now(UTC)).root("other").certificate)
