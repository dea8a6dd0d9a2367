"""Two organisations that were partners under 0.1.0 are partners under this release."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.world import EDGE, Organisation, until
from sipmesh.demo.ports import free_port
from upgrades.conftest import bob_waits, follow_the_page, give_lists, password, serve_all, until_good
from upgrades.recorded_folder import BEFORE, recorded

pytestmark = pytest.mark.wide

RECORDED_AT = "127.0.0.2"


@pytest.fixture(name="release")
def _release() -> str:
    return BEFORE


@pytest.fixture(name="partner")
def _partner(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    """example.org, on ports that are free."""
    folder = tmp_path_factory.mktemp("p")
    recorded(f"{release}-partner", folder)
    organisation = Organisation(folder, "example.org")
    organisation.file.write_text(organisation.file.read_text().replace(RECORDED_AT, "127.0.0.1"))
    organisation.choose_ports(free_port, whole=False)
    yield organisation
    organisation.stop()


def meet(one: Organisation, other: Organisation) -> None:
    """Write into the draft of *one* where the edge of *other* is."""
    port = other.ports[f"edge1.{other.domain} partner"]
    text = one.file.read_text().replace(RECORDED_AT, "127.0.0.1")
    one.file.write_text(text.replace(f"sip.{other.domain}:5067", f"sip.{other.domain}:{port}"))


def test_partners_of_the_first_release_link_to_each_other_and_carry_messages(
    left_behind: Organisation, partner: Organisation
) -> None:
    meet(left_behind, partner)
    meet(partner, left_behind)
    follow_the_page(left_behind)
    follow_the_page(partner)
    give_lists(left_behind, partner)
    give_lists(partner, left_behind)
    for organisation in (left_behind, partner):
        serve_all(organisation)
    for organisation in (left_behind, partner):
        until_good(organisation, alone=False)
    log = left_behind.folder / "bob.log"
    with bob_waits(left_behind, log):
        words = ("message", "--as", "carol@example.org", "--password-stdin", "bob@example.com", "across the update")
        sent = partner.type(*words, "--server", partner.address("fe1.example.org"), typed=password(partner, "carol"))
        assert "200 OK" in sent.out, sent.out + sent.err
        until("across the update", log)


def test_certificate_with_the_name_of_the_partner_from_another_ca_is_refused(
    left_behind: Organisation, partner: Organisation, tmp_path: Path
) -> None:
    """The control: the certificate that the partner's own CA has issued is accepted."""
    meet(left_behind, partner)
    follow_the_page(left_behind)
    follow_the_page(partner)
    give_lists(partner, left_behind)
    left_behind.serve(EDGE)
    impostor = Organisation.make(tmp_path / "impostor", "example.org", whole=True)
    for organisation, expected in ((impostor, 1), (partner, 0)):
        file = organisation.folder / "servers" / "edge1.example.org.pem"
        judged = left_behind.type("explain", file, "--as", "partner", "--server", EDGE)
        assert judged.code == expected, judged.out + judged.err
        assert ("untrusted-issuer" in judged.out) == bool(expected)
