"""The report on one user of the directory: what cannot be used is named, with the reason."""

from __future__ import annotations

from sipmesh.server.directory.comparison import Comparison, Conflict, Loss
from sipmesh.server.directory.entry_reader import Answer, Unusable
from sipmesh.server.directory.explain_report import ExplainReport
from sipmesh.server.directory.sync import Explained


def test_report_names_what_cannot_be_used_and_the_first_conflict() -> None:
    answer = Answer((), {"7": Unusable("uid=x,dc=test", "has no name")}, [("carol@example.test", "no number")])
    comparison = Comparison((), [Conflict("carol@example.test", "is a local user", "adopt carol")], Loss(1, 0, 0))
    found = Explained("carol@example.test", "ldap.test", answer, is_user=True, link=None, comparison=comparison)
    report = ExplainReport.of(found)
    assert report.unusable == ["uid=x,dc=test: has no name", "carol@example.test: no number"]
    assert (report.verdict, report.remedy) == ("carol@example.test: is a local user", "adopt carol")
    assert (report.link, report.is_user, report.server) == (None, True, "ldap.test")
