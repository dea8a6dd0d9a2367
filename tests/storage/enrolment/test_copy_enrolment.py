"""Accounts and orders move with the database of management, and tokens do not."""

from __future__ import annotations

from pathlib import Path

from sipmesh.storage.management_db import ManagementDb
from storage.enrolment.rows import AT, account, certificate, order, token


def test_rows_of_enrolment_are_copied_with_the_history(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        (folder / "state").mkdir(parents=True)
    source, target = map(ManagementDb, folders)
    source.enrolment_tokens.add(token(), AT)
    source.acme_accounts.add(account(), token())
    source.acme_orders.add(order())
    source.enrolled_certificates.add(certificate("1"))
    for _ in range(2):
        source.copy_to(target)
    assert target.acme_accounts.find("a1") == account()
    assert target.acme_orders.find("o1") == order()
    assert target.enrolled_certificates.find("1") == certificate("1")
    assert target.enrolment_tokens.find("t1") is None
    for one in (source, target):
        one.close()
