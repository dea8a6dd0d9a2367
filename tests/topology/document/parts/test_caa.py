"""An account at a public CA, as a CAA record."""

from __future__ import annotations

import dns.rdata
import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.caa import CaaEntry

ACCOUNT = "https://acme.test/acct/1"


def test_record_has_the_account_and_the_methods() -> None:
    entry = CaaEntry(issuer="ca.test", account=ACCOUNT, methods=("dns-01", "http-01"))
    assert entry.data == f'0 issue "ca.test; accounturi={ACCOUNT}; validationmethods=dns-01,http-01"'
    assert CaaEntry(issuer="ca.test", account=ACCOUNT).data == f'0 issue "ca.test; accounturi={ACCOUNT}"'


def test_record_is_written_as_dns_libraries_write_it() -> None:
    """So a record that DNS has is the same text."""
    data = CaaEntry(issuer="ca.test", account=ACCOUNT, methods=("dns-01",)).data
    for text in (data, '0 issuewild ";"'):
        assert dns.rdata.from_text("IN", "CAA", text).to_text() == text


@pytest.mark.parametrize("account", [f'{ACCOUNT}"', f"{ACCOUNT};x", f"{ACCOUNT}\\\\", "acct 1", "mailto:a@ca.test"])
def test_account_that_would_change_the_record_is_refused(account: str) -> None:
    with pytest.raises(ValidationError):
        CaaEntry(issuer="ca.test", account=account)
