"""A CA that changes its root: what each step leaves behind, and what is refused out of order."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.offline.cross_certificate import CROSS
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.pki.authority import EnterpriseCa

FE1 = "fe1.example.test"


@pytest.fixture(name="generations")
def _generations(ca: EnterpriseCa) -> CaGenerations:
    return CaGenerations(ca.folder)


def chain_of(generations: CaGenerations, noon: datetime) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(generations.current.issue((FE1,), Role.FRONT_END, noon).chain)


def test_a_prepared_generation_issues_nothing_yet(generations: CaGenerations, noon: datetime) -> None:
    coming = generations.prepare(noon)
    assert generations.next is not None
    assert generations.next.root == coming.root
    assert chain_of(generations, noon)[0].issuer == generations.open(1).issuing.subject
    assert {ca.root.subject for ca in generations.alive} == {generations.open(1).root.subject, coming.root.subject}
    assert coming.root.subject != generations.open(1).root.subject


def test_after_the_change_the_old_root_vouches_until_the_new_one_is_shown_alone(
    generations: CaGenerations, noon: datetime
) -> None:
    old, coming = generations.current, generations.prepare(noon)
    generations.activate()
    leaf, above = chain_of(generations, noon)
    leaf.verify_directly_issued_by(coming.issuing)
    leaf.verify_directly_issued_by(above)
    above.verify_directly_issued_by(old.root)
    assert above.public_key() == coming.issuing.public_key()
    assert above.not_valid_after_utc <= old.root.not_valid_after_utc
    generations.switch()
    leaf, above = chain_of(generations, noon)
    assert above == coming.issuing
    above.verify_directly_issued_by(coming.root)
    assert not generations.is_crossed


def test_generations_are_read_again_after_a_restart(generations: CaGenerations, noon: datetime) -> None:
    generations.prepare(noon)
    generations.activate()
    again = CaGenerations(generations.folder)
    assert (again.number, again.old, again.next) == (2, [1], None)
    again.retire(1)
    assert CaGenerations(generations.folder).old == []
    assert [ca.folder.name for ca in again.alive] == ["2"]


def test_crls_of_every_living_generation_are_renewed(generations: CaGenerations, noon: datetime) -> None:
    generations.prepare(noon)
    generations.activate()
    later = noon + timedelta(days=2)
    assert {file.parent.name for file in generations.reissue(later)} == {"ca", "2"}
    generations.retire(1)
    assert {file.parent.name for file in generations.reissue(later + timedelta(days=2))} == {"2"}


def test_what_an_old_generation_issued_is_revoked_by_it(generations: CaGenerations, noon: datetime) -> None:
    first = generations.current.issue((FE1,), Role.FRONT_END, noon).certificate
    generations.prepare(noon)
    generations.activate()
    second = generations.current.issue((FE1,), Role.FRONT_END, noon).certificate
    assert generations.owner_of(first.serial_number).folder == generations.folder
    assert set(generations.revoke_servers({FE1}, Reason.UNSPECIFIED, noon)) == {
        first.serial_number,
        second.serial_number,
    }
    for number, leaf in ((1, first), (2, second)):
        listed = x509.load_pem_x509_crl((generations.folder_of(number) / "issuing.crl").read_bytes())
        assert listed.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None
    assert generations.revoke_servers({FE1}, Reason.UNSPECIFIED, noon) == {}


def test_the_cross_certificate_can_be_revoked_by_the_old_root(generations: CaGenerations, noon: datetime) -> None:
    coming = generations.prepare(noon)
    assert generations.owner_of(coming.shown.serial_number).folder == generations.folder
    generations.open(1).revoke(coming.shown.serial_number, Reason.UNSPECIFIED, noon)
    listed = x509.load_pem_x509_crl((generations.folder / "root.crl").read_bytes())
    assert listed.get_revoked_certificate_by_serial_number(coming.shown.serial_number) is not None


def test_one_change_at_a_time_and_in_order(generations: CaGenerations, noon: datetime) -> None:
    with pytest.raises(OperatorError, match="no new root is prepared"):
        generations.activate()
    generations.prepare(noon)
    with pytest.raises(OperatorError, match="another root rotation is in progress"):
        generations.prepare(noon)
    with pytest.raises(OperatorError, match="is in use"):
        generations.retire(1)
    generations.activate()
    with pytest.raises(OperatorError, match="is in use"):
        generations.retire(2)
    assert generations.prepare(noon).folder.name == "3"


def test_preparation_that_ended_before_the_cross_certificate_is_finished(
    generations: CaGenerations, noon: datetime
) -> None:
    made = generations.prepare(noon)
    (made.folder / CROSS).unlink()
    key = generations.current.folder / "root.key"
    key.rename(away := key.with_name("away"))
    with pytest.raises(OperatorError, match="another root rotation is in progress"):
        generations.prepare(noon)  # a person asks the root that is elsewhere
    away.rename(key)
    assert generations.prepare(noon).root == made.root
    assert generations.activate().root == made.root


def test_unreadable_generations_file_is_an_error(generations: CaGenerations, noon: datetime) -> None:
    generations.prepare(noon)
    generations.activate()
    (generations.folder / "generations.json").write_text("{")
    with pytest.raises(OperatorError, match="it is not known which CA issues"):
        CaGenerations(generations.folder)
