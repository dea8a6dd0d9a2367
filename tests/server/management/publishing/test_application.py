"""A plan is carried out by a host; what fails its verification is taken back, with the certificates from before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.management.publishing import application
from sipmesh.server.management.publishing.application import Application, Publication
from sipmesh.server.management.publishing.certificate_needs import CertificateNeed, IssuedBy
from sipmesh.server.management.publishing.link_checks import Check, Checked
from sipmesh.server.management.replies import Acknowledgement, CrlsReply, MemberReply, PutInForce
from sipmesh.topology.builder.link_changes import AllowedLink
from sipmesh.topology.document.load import Loaded
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.network import EDGE, FE1, FE2

NEED = CertificateNeed(FE1, "its certificate lacks example.net", IssuedBy.APPLY)


@dataclass
class Recorder:
    """A host that records its commands. *refused* has the commands that fail, *missing* the servers that do not confirm.

    *broken*: each link fails that is probed after the publication. *unfetched* says why no server fetches a CRL. Management has
    no contact with the *stopped* servers, until they have *come*.
    """

    example: Organisation
    refused: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    broken: bool = False
    unfetched: str = ""
    stopped: tuple[str, ...] = ()
    come: bool = False
    done: list[str] = field(default_factory=list)
    draft: str = "topology.yaml"

    def ask(self, command: Any, _timeout_s: float, /, **given: Any) -> Any:
        """Answer as management does."""
        self.done.append(command.name)
        if command.name in self.refused:
            raise SipmeshError(f"{command.name} is refused")
        if command.name == "network":
            return _Members(self._members())
        if command.name == "fetch-crls":
            return [CrlsReply(server, self.unfetched, ()) for server in given["servers"]]
        if command.name == "acknowledged":
            return Acknowledgement(given["version"], self.missing, (), 2)
        return PutInForce(given["base"] + 1)

    def _members(self) -> Sequence[MemberReply]:
        """Give every server if one is stopped; none of them reports anything."""
        away = () if self.come and "publish" in self.done else self.stopped
        return [_member(name, reached=name not in away) for name in (FE1, FE2, EDGE) if self.stopped]

    def issue(self, loaded: Loaded, name: str) -> None:
        """Issue in place of `sipmesh ca issue`."""
        assert loaded.topology.pool_of(name) is not None
        self.done.append(f"issue {name}")
        self.example.issue(name)

    def reload(self) -> None:
        """Record it."""
        self.done.append("reload")

    def probe(self, checks: Sequence[Check]) -> list[Checked]:
        """Give a result for each link."""
        self.done.append("probe")
        fails = self.broken and "publish" in self.done
        return [Checked(check, passed=not fails, told="refused" if fails else "200 OK") for check in checks]


@dataclass
class _Members:
    """The part of a reply that is read."""

    servers: Sequence[MemberReply]


def _member(name: str, *, reached: bool) -> MemberReply:
    return MemberReply(
        server=name, role=Role.FRONT_END, pool="a", faults=(), linked=reached, why_not="", reached=reached
    )


def planned(example: Organisation, **changes: Any) -> Publication:
    """A new domain after version 1, for which FE1 needs a certificate."""
    before = example.load()
    example.document["sip_domains"] = ["example.test", "example.net"]
    example.write()
    given: dict[str, Any] = {
        "base": 1, "digest": "d" * 64, "dangers": (), "certificates": (NEED,), "links_appear": (), "elsewhere": (),
        "revoked": (), "before": before, "after": example.load(),
    }  # fmt: skip
    return Publication(**{**given, **changes})


def run(host: Recorder, plan: Publication, *, force: bool = False, rolls_back: bool = True) -> Any:
    """Carry *plan* out."""
    return Application(host, plan).run("a domain", 5.0, force=force, rolls_back=rolls_back)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that fails is probed again without a pause."""
    monkeypatch.setattr(application, "SETTLE_S", 0.0)


def certificate(example: Organisation) -> bytes:
    return example.credentials(FE1)[0].read_bytes()


def test_plan_is_issued_published_awaited_and_verified_in_this_order(example: Organisation) -> None:
    host = Recorder(example)
    report = run(host, planned(example))
    assert (report.version, report.issued, report.faults, report.rolled_back) == (2, [FE1], [], 0)
    published = ["publish", "reload", "acknowledged", "network"]
    assert host.done == ["probe", "network", f"issue {FE1}", *published, "probe", "network"]
    assert {check.check.target_name for check in report.checks} >= {FE1}


def test_link_that_breaks_takes_version_and_certificate_back(example: Organisation) -> None:
    host, before = Recorder(example, broken=True), certificate(example)
    report = run(host, planned(example))
    assert (report.version, report.rolled_back) == (2, 3)
    assert all(fault.endswith(": refused") for fault in report.faults)
    assert host.done[-3:] == ["rollback", "reload", "acknowledged"]
    assert certificate(example) == before


def test_without_rollback_the_broken_version_stays(example: Organisation) -> None:
    host, before = Recorder(example, broken=True), certificate(example)
    report = run(host, planned(example), rolls_back=False)
    assert (bool(report.faults), report.rolled_back, "rollback" in host.done) == (True, 0, False)
    assert certificate(example) != before


def test_server_that_does_not_confirm_is_a_fault(example: Organisation) -> None:
    report = run(Recorder(example, missing=(FE2,)), planned(example))
    assert report.faults[0] == f"{FE2} has not confirmed the version within 5 s"
    assert report.rolled_back == 3


def test_server_that_was_stopped_before_is_named_and_is_neither_awaited_nor_verified(example: Organisation) -> None:
    host = Recorder(example, missing=(FE2,), stopped=(FE2,))
    report = run(host, planned(example, links_appear=[AllowedLink(EDGE, FE2, LinkKind.SERVER)]))
    assert (report.faults, report.rolled_back, report.missing, report.unreached) == ([], 0, (FE2,), [FE2])
    assert report.warning.startswith(f"Management had no contact with {FE2}, before the publication and since.")
    assert report.checks
    assert not [result for result in report.checks if FE2 in {result.check.opener, result.check.target_name}]


@pytest.mark.parametrize("come", [False, True])
def test_server_that_had_contact_or_comes_and_does_not_confirm_takes_the_version_back(
    example: Organisation, *, come: bool
) -> None:
    """FE1 ran before the publication, FE2 did not; if FE2 comes meanwhile, it has to confirm too."""
    report = run(Recorder(example, missing=(FE1, FE2), stopped=(FE2,), come=come), planned(example))
    late = (FE1, FE2) if come else (FE1,)
    assert report.faults == [f"{name} has not confirmed the version within 5 s" for name in late]
    assert (report.rolled_back, report.unreached) == (3, [] if come else [FE2])


def test_without_contact_to_any_server_each_has_to_confirm(example: Organisation) -> None:
    everyone = (FE1, FE2, EDGE)
    report = run(Recorder(example, missing=everyone, stopped=everyone), planned(example))
    assert (len(report.faults), report.rolled_back, report.unreached, report.warning) == (3, 3, [], "")


def test_danger_is_refused_before_anything_is_issued_unless_it_is_forced(example: Organisation) -> None:
    host, plan = Recorder(example), planned(example, dangers=("a domain would be lost",))
    with pytest.raises(OperatorError, match="a domain would be lost; --force does it anyway"):
        run(host, plan)
    assert host.done == ["probe", "network"]
    assert run(host, plan, force=True).version == 2


def test_refused_publication_restores_the_certificates(example: Organisation) -> None:
    host, before = Recorder(example, refused=("publish",)), certificate(example)
    with pytest.raises(SipmeshError, match="publish is refused"):
        run(host, planned(example))
    assert certificate(example) == before


def test_rollback_that_is_refused_is_reported(example: Organisation) -> None:
    report = run(Recorder(example, broken=True, refused=("rollback",)), planned(example))
    assert report.faults[-1] == "the version with the content from before is not published: rollback is refused"


def test_verification_that_cannot_be_finished_is_a_fault(example: Organisation) -> None:
    report = run(Recorder(example, refused=("acknowledged",)), planned(example))
    assert report.faults[0] == "the verification could not be finished: acknowledged is refused"
    assert report.faults[-1].startswith("the version with the content from before is not confirmed by every server")


def test_server_that_the_version_revoked_gets_a_certificate_again_or_is_named(example: Organisation) -> None:
    plan = planned(example, revoked=(FE2, "gone.example.test"))
    host = Recorder(example, broken=True)
    report = run(host, plan)
    assert f"issue {FE2}" in host.done
    assert (
        report.faults[-1] == "gone.example.test stays revoked; on its machine: sipmesh join request gone.example.test"
    )


def test_server_that_has_to_restart_is_not_probed(example: Organisation) -> None:
    report = run(Recorder(example), planned(example, elsewhere=(FE1,)))
    assert not [result for result in report.checks if FE1 in {result.check.opener, result.check.target_name}]


def test_crl_that_a_server_cannot_fetch_takes_the_version_back(example: Organisation) -> None:
    """Each server fetches for itself, and the sentence names the server, the URL and the cause."""
    before, url = example.load(), "http://crl.example.test/x.crl"
    authority = example.document["authority"]
    assert isinstance(authority, dict)
    authority["crls"] = [*authority["crls"], url]
    example.write()
    host = Recorder(example, unfetched="nobody answers")
    report = run(host, replace(planned(example), before=before))
    assert report.rolled_back == 3
    assert report.faults == [f"{name} → {url}: nobody answers" for name in (EDGE, FE1, FE2)]
    assert host.done[-4:] == ["fetch-crls", "rollback", "reload", "acknowledged"]
