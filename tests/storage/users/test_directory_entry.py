"""Which addresses a step changes."""

from __future__ import annotations

from datetime import UTC, datetime

from sipmesh.storage.users.directory_entry import DirectoryEntry, DirectoryLink, DirectoryStep, Ended, StepKind

OLD, NEW = "sip:old@example.test", "sip:new@example.test"
LINK = DirectoryLink("1", OLD, datetime(2026, 12, 1, tzinfo=UTC))
ENTRY = DirectoryEntry("1", NEW)


def test_step_keeps_the_address_unless_it_renames() -> None:
    for kind in (StepKind.UPDATE, StepKind.DISABLE, StepKind.ENABLE):
        step = DirectoryStep(kind, ENTRY, LINK)
        assert (step.aor, step.changed) == (OLD, (OLD,))
    renamed = DirectoryStep(StepKind.RENAME, ENTRY, LINK)
    assert (renamed.aor, renamed.changed) == (NEW, (OLD, NEW))
    assert DirectoryStep(StepKind.ADD, ENTRY, None).changed == (NEW,)
    assert DirectoryStep(StepKind.DISABLE, None, LINK, Ended.REMOVED).changed == (OLD,)
