"""The folder of signatures: what is in it, and which of it belongs to a draft."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.management.publishing import approvals
from sipmesh.server.management.publishing.approvals import FOLDER, approval_needs, approved, proposal
from sipmesh.topology.versions.approval import ApprovalNeed
from sipmesh.topology.versions.jose import open_signed
from sipmesh.topology.versions.publication import KIND, NOT_APPROVED, Draft, Publication
from support.approving import Approver, approve, rule
from support.managed import Managed

ADA, BEN = Approver("ada"), Approver("ben")


def draft(network: Managed) -> Draft:
    return Draft.read(network.organisation.file.read_bytes(), network.organisation.file)


def test_draft_without_a_rule_needs_no_approval(managed: Managed) -> None:
    assert approved(None, draft(managed), None) == NOT_APPROVED


def test_other_files_in_the_folder_do_no_harm(managed: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    managed.edit(lambda document: document.update(approvals=rule(ADA, BEN)))
    folder = managed.organisation.folder / FOLDER
    folder.mkdir()
    (folder / "00.sig").write_bytes(b"\xff" * 10_000)
    (folder / "01.sig").write_text("-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n")
    (folder / "02.sig").mkdir()
    with pytest.raises(OperatorError, match="0 of 2"):
        approved(None, draft(managed), None)
    approve(managed, 1, ADA, BEN)
    found = approved(None, draft(managed), None)
    assert (found.serial, sorted(found.signatures)) == (1, ["ada", "ben"])
    assert proposal(None, draft(managed)).serial == 1
    monkeypatch.setattr(approvals, "MOST_FILES", 0)
    with pytest.raises(OperatorError, match="0 of 2"):
        approved(None, draft(managed), None)


def test_version_without_approvals_has_a_serial_number_of_its_own(managed: Managed) -> None:
    assert approved(None, draft(managed), None, unapproved=True).serial == 1


def test_needs_are_those_of_the_rule_in_force_and_of_a_new_rule(managed: Managed) -> None:
    """The rule in force counts for the next version, and operators who are new must show that their keys work."""
    newest = Publication.decode(open_signed(managed.published(), KIND).payload)
    before = draft(managed).loaded
    assert approval_needs(newest, draft(managed), before) == ()
    managed.edit(lambda document: document.update(approvals=rule(ADA, BEN)))
    approve(managed, 1, ADA)
    assert approval_needs(newest, draft(managed), before) == [
        ApprovalNeed("the new version", 2, ["ada", "ben"], ["ada"])
    ]
    with_rule = draft(managed).loaded
    managed.edit(lambda document: document.update(approvals=rule(BEN, publish=1)))
    approve(managed, 1, BEN)
    assert approval_needs(newest, draft(managed), with_rule) == [
        ApprovalNeed("the version in force", 2, ["ada", "ben"], ["ben"]),
        ApprovalNeed("the new version", 1, ["ben"], ["ben"]),
    ]
