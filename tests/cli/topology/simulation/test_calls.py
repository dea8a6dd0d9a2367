"""A call to a number is explained step by step: typed, whose, who may, which trunks."""

from __future__ import annotations

import pytest

from cli.world import Organisation, sipmesh

ALICE, NUMBER = "alice@example.com", "+493012345"
NUMBERS = """
numbers:
  country: '49'
  emergency: ['112']
  classes:
    - {name: premium, numbers: ['+49900'], users: [alice@example.com]}
"""


@pytest.fixture(name="site", scope="module")
def _site(organisation_model: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """A gateway with a provider that takes emergency calls, and a PBX with a main number; nothing runs."""
    made = organisation_model.copied(tmp_path_factory.mktemp("o") / "o")
    assert made.type("topology", "add", "pool", "--role", "gateway", "--address", "127.0.0.1").code == 0
    theirs = tmp_path_factory.mktemp("p") / "p"
    assert sipmesh("init", "sbc.test", "--dir", theirs).code == 0
    text = made.file.read_text()
    entry = "anchors: [{0}/root.pem], crls: [{0}/root.crl, {0}/issuing.crl], third_party: true".format("partners/t")
    (made.file.parent / "partners" / "t").mkdir(parents=True)
    for name in ("root.pem", "root.crl", "issuing.crl"):
        (made.file.parent / "partners" / "t" / name).write_bytes((theirs / "ca" / name).read_bytes())
    trunks = (
        ("sbc.test", "carries: ['+'], emergency: true"),
        ("pbx.test", "carries: ['+4989'], main_number: '+4989123400'"),
    )
    lines = [
        f"    - {{domains: [{name}], {entry}, trunk: {{gateway: gw.example.com, {keys}}}}}" for name, keys in trunks
    ]
    made.file.write_text(f"{text}{NUMBERS}federation:\n  partners:\n" + "\n".join(lines) + "\n")
    for user, alias in (("alice", NUMBER), ("bob", "42")):
        made.add_user(user)
        assert made.type("user", "alias", "add", user, alias).code == 0
    return made


def explained(site: Organisation, user: str, typed: str) -> tuple[int, str]:
    told = site.type("topology", "simulate", "--call", user, typed)
    return told.code, told.out


@pytest.mark.parametrize("typed", ["+4989123499", "08912 3499".replace(" ", ""), "004989123499"])
def test_trunks_are_named_in_the_order_in_which_they_are_tried(site: Organisation, typed: str) -> None:
    code, out = explained(site, "alice", typed)
    assert code == 0
    assert "the number: accepted" in out
    assert out.index("trunk pbx.test, tried as number 1") < out.index("trunk sbc.test, tried as number 2")
    assert f"the caller is {NUMBER}" in out


def test_number_of_a_user_and_an_extension_go_to_the_user(site: Organisation) -> None:
    assert "+493012345 is a number of alice@example.com" in explained(site, "bob", "03012345")[1]
    assert "42 is a name of bob@example.com" in explained(site, "alice", "42")[1]


def test_class_of_a_number_is_explained(site: Organisation) -> None:
    assert explained(site, "alice", "0900123456")[0] == 0
    code, out = explained(site, "bob", "0900123456")
    assert code == 1
    assert "+49900123456 is of the class premium, which bob@example.com may not call" in out


def test_emergency_call_of_a_user_without_a_number_is_carried(site: Organisation) -> None:
    code, out = explained(site, "bob", "112")
    assert code == 0
    assert "the emergency number 112" in out
    assert "trunk sbc.test, tried as number 1" in out


@pytest.mark.parametrize(
    ("user", "typed", "why"),
    [
        ("alice", "43", "43 is neither a user nor a whole number"),
        ("bob", "+4312345678", "bob@example.com has no number, and the trunk has no main_number"),
    ],
)
def test_call_that_fails_says_why(site: Organisation, user: str, typed: str, why: str) -> None:
    code, out = explained(site, user, typed)
    assert code == 1
    assert why in " ".join(out.split())


def test_call_and_links_are_not_simulated_at_once(site: Organisation) -> None:
    assert (
        site.type("topology", "simulate", "--call", "alice", "112", "--from", "phone", "--to", "fe1.example.com").code
        == 2
    )
    assert site.type("topology", "simulate").code == 2
    told = site.type("topology", "simulate", "--call", "alice", "sip:@@")
    assert told.code == 1
    assert "cannot be called" in told.err
