"""Tokens and accounts of one name end, those of others stay, and each is a line in the audit log."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.enrolment.end_enrolment import EndedEnrolment, end_enrolment, withdraw
from sipmesh.storage.management_db import ManagementDb
from storage.enrolment.rows import AT, BOT, HOUR_S, NOON, OTHER, account, token

LOGIN = "alice@example.test/desk"
Lines = list[tuple[AuditAct, dict[str, object]]]


def filled(folder: Path) -> ManagementDb:
    """A database with tokens of two servers and two devices, and an account of each server."""
    management_db = ManagementDb(folder)
    names = (BOT, OTHER, LOGIN, "alice@example.test/car")
    for number, name in enumerate(names, 1):
        management_db.enrolment_tokens.add(token(number, name), AT)
    for number, name in enumerate(names[:2], 11):
        used = token(number, name)
        management_db.enrolment_tokens.add(used, AT)
        management_db.acme_accounts.add(account(number, name), used)
    return management_db


def test_enrolment_of_one_name_ends_and_that_of_others_stays(tmp_path: Path) -> None:
    management_db, lines = filled(tmp_path), Lines()

    def note(act: AuditAct, /, **about: object) -> None:
        lines.append((act, about))

    ended = end_enrolment(management_db, BOT.upper(), NOON, note)
    assert ended == [EndedEnrolment("token", "t1", BOT), EndedEnrolment("account", "a11", BOT)]
    assert end_enrolment(management_db, BOT, NOON, note) == []
    assert [one.id for one in end_enrolment(management_db, "Alice@example.test", NOON, note, "desk")] == ["t3"]
    assert [one.id for one in management_db.enrolment_tokens.open_tokens(AT)] == ["t2", "t4"]
    assert [one.server for one in management_db.acme_accounts.valid_accounts()] == [OTHER]
    assert [about.get("token") or about["account"] for _act, about in lines] == ["t1", "a11", "t3"]
    management_db.close()


def test_one_of_them_ends_by_its_id(tmp_path: Path) -> None:
    management_db = filled(tmp_path)
    assert withdraw(management_db, "a12", NOON, lambda *_act, **_about: None).name == OTHER
    for unknown in ("a12", "", "t11", "none"):
        with pytest.raises(OperatorError, match="to list them: sipmesh ca enrol"):
            withdraw(management_db, unknown, NOON, lambda *_act, **_about: None)
    management_db.close()


def test_nothing_can_be_used_although_the_audit_log_fails(tmp_path: Path) -> None:
    management_db = filled(tmp_path)

    def fail(_act: AuditAct, /, **_about: object) -> None:
        raise OperatorError("the disk is full")

    with pytest.raises(OperatorError, match="the disk is full"):
        end_enrolment(management_db, BOT, NOON, fail)
    assert [one.server for one in management_db.acme_accounts.valid_accounts()] == [OTHER]
    assert BOT not in [one.server for one in management_db.enrolment_tokens.open_tokens(AT + HOUR_S / 2)]
    management_db.close()
