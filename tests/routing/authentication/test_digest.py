from collections.abc import Sequence

import pytest

from sipmesh.routing.authentication.digest import (
    Challenge,
    Proved,
    Refused,
    authenticate,
    claimed,
    nothing_means_us,
    same_resource,
)
from sipmesh.routing.authentication.digest_sets import of_nobody
from sipmesh.routing.authentication.verifier import DevicePassword, Verifier
from sipmesh.sip.digest import Algorithm, Nonces, answer, ha1, parse_challenge
from sipmesh.sip.message import Request, build_request

NOON = 1_700_000_000.0
ALICE = "sip:alice@example.test"
BOTH = (Algorithm.SHA_256, Algorithm.MD5)
PASSWORD = "alice-pw"


def verifier(algorithms: Sequence[Algorithm] = BOTH, password: str = PASSWORD) -> Verifier:
    return Verifier(ALICE, 3, {one: ha1("alice", "example.test", password, one) for one in algorithms})


def asking(method: str = "REGISTER", uri: str = "sip:example.test", **headers: str) -> Request:
    fixed = [("from", "<sip:from@example.test>;tag=1"), ("to", "<sip:to@example.test>"), ("call-id", "1")]
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return build_request(method, uri, [*fixed, ("cseq", f"1 {method}"), *named])


class Server:
    """One server with one user, and the clients that talk to it."""

    def __init__(self, known: Verifier | None) -> None:
        self.known, self.nonces, self.drawn = known, Nonces(b"k" * 32, lifetime_s=60), 0

    def ask(self, request: Request, late: float = 0, link: int = 1) -> Proved | Challenge | Refused:
        self.drawn += 1
        entropy = self.drawn.to_bytes(8, "big")
        return authenticate(request, ALICE, self.known, self.nonces, link, at=NOON + late, entropy=entropy)

    def challenge(self, method: str = "REGISTER", late: float = 0) -> Challenge:
        asked = self.ask(asking(method), late)
        assert isinstance(asked, Challenge)
        return asked


def answered(
    challenge: Challenge,
    password: str = PASSWORD,
    *,
    user: str = "alice",
    method: str = "REGISTER",
    nc: int = 1,
    **to: str,
) -> Request:
    """The request again, with credentials for *challenge*, made for another URI or method if *to* says so."""
    held = [parse_challenge(value) for _, value in challenge.headers]
    digest_uri, digest_method = to.get("uri", "sip:example.test"), to.get("method_of_digest", method)
    value = answer(held, user, password, digest_method, digest_uri, "cnonce", nc)
    name = "authorization" if method == "REGISTER" else "proxy_authorization"
    return asking(method, **{name: value})


def algorithms(challenge: Challenge) -> list[str]:
    return [value.partition("algorithm=")[2].partition(",")[0] for _, value in challenge.headers]


@pytest.mark.parametrize(
    ("method", "status", "header"),
    [
        ("REGISTER", 401, "www-authenticate"),
        ("MESSAGE", 407, "proxy-authenticate"),
        ("INVITE", 407, "proxy-authenticate"),
    ],
)
def test_a_registrar_asks_with_401_and_a_proxy_with_407(method: str, status: int, header: str) -> None:
    challenge = Server(verifier()).challenge(method)
    assert (challenge.status, {name for name, _ in challenge.headers}) == (status, {header})
    assert not challenge.flaw


@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE"])
@pytest.mark.parametrize("held", [BOTH, (Algorithm.SHA_256,), (Algorithm.MD5,)])
def test_the_right_password_proves_the_user(method: str, held: Sequence[Algorithm]) -> None:
    server = Server(verifier(held))
    assert server.ask(answered(server.challenge(method), method=method)) == Proved(ALICE, 3, held[0])


def test_user_with_two_algorithms_may_use_the_weaker() -> None:
    """Browsers' SIP libraries answer the MD5 challenge of the two."""
    server = Server(verifier())
    challenge = server.challenge()
    weaker = Challenge(401, challenge.headers[1:])
    assert server.ask(answered(weaker)) == Proved(ALICE, 3, Algorithm.MD5)


@pytest.mark.parametrize(
    ("known", "offered"),
    [(verifier(), ["SHA-256", "MD5"]), (verifier([Algorithm.MD5]), ["MD5"]), (None, ["SHA-256", "MD5"])],
)
def test_each_algorithm_of_the_user_is_offered_strongest_first(known: Verifier | None, offered: list[str]) -> None:
    assert algorithms(Server(known).challenge()) == offered


def test_an_unknown_user_gets_what_a_known_one_with_a_wrong_password_gets() -> None:
    known, unknown = Server(verifier()), Server(None)
    of_known, of_unknown = known.challenge(), unknown.challenge()
    assert of_known == of_unknown
    assert of_known.headers == of_unknown.headers
    again = known.ask(answered(of_known, "wrong")), unknown.ask(answered(of_unknown, "wrong"))
    assert isinstance(again[0], Challenge)
    assert isinstance(again[1], Challenge)
    assert (again[0].status, again[0].stale, again[0].headers) == (again[1].status, again[1].stale, again[1].headers)
    assert (again[0].flaw, again[1].flaw) == ("wrong password", "unknown user")


@pytest.mark.parametrize("algorithms", [(Algorithm.SHA_256, Algorithm.MD5), (Algorithm.MD5,), (Algorithm.SHA_256,)])
def test_unknown_user_gets_the_challenge_of_a_possible_user(algorithms: tuple[Algorithm, ...]) -> None:
    nonces = Nonces(b"k" * 32, lifetime_s=60)
    asked = authenticate(asking(), ALICE, None, nonces, 1, at=NOON, entropy=b"8 octets", alike=of_nobody(algorithms))
    assert isinstance(asked, Challenge)
    assert len(asked.headers) == len(algorithms)


def test_unknown_user_cannot_be_proved() -> None:
    """Not even with the placeholder hashes: no password for them is known."""
    server = Server(None)
    assert not isinstance(server.ask(answered(server.challenge(), "")), Proved)


@pytest.mark.parametrize(
    ("credentials", "flaw"),
    [
        (("wrong", "alice", "REGISTER"), "wrong password"),
        (("alice-pw", "bob", "REGISTER"), "the user name is not that of the address"),
        (("alice-pw", "alice", "MESSAGE"), "wrong password"),
    ],
)
def test_failed_login_is_challenged_again_with_its_flaw(credentials: tuple[str, str, str], flaw: str) -> None:
    """The last case has the right password, but for another method."""
    server = Server(verifier())
    password, user, method = credentials
    again = server.ask(answered(server.challenge(), password, user=user, method_of_digest=method))
    assert isinstance(again, Challenge)
    assert (again.status, again.stale, again.flaw) == (401, False, flaw)


def test_an_algorithm_that_was_not_offered_is_a_flaw() -> None:
    server = Server(verifier([Algorithm.SHA_256]))
    md5 = Server(verifier([Algorithm.MD5])).challenge()
    again = server.ask(answered(md5))
    assert isinstance(again, Challenge)
    assert again.flaw == "MD5 was not offered"


UNSUPPORTED = 'Digest username="alice", realm="{}", nonce="n", uri="sip:example.test", response="0", algorithm={}'


@pytest.mark.parametrize(
    ("realm", "name", "flaw"),
    [
        ("other.test", "AKAv1-MD5", ""),
        ("other.test", "SHA-512-256", ""),
        ("example.test", "SHA-512-256", "the digest algorithm was not offered"),
        ("example.test", "MD5-sess", "the digest algorithm was not offered"),
    ],
)
def test_credentials_with_an_unsupported_algorithm_get_a_challenge(realm: str, name: str, flaw: str) -> None:
    """RFC 3261 22.3: credentials for another realm are that realm's. For ours, the client learns what we support."""
    again = Server(verifier()).ask(asking(authorization=UNSUPPORTED.format(realm, name)))
    assert isinstance(again, Challenge)
    assert (algorithms(again), again.flaw) == (["SHA-256", "MD5"], flaw)


EMPTY = 'Digest username="alice", realm="example.test", nonce="", uri="sip:example.test", response=""'


def test_credentials_that_answer_nothing_are_no_failed_login() -> None:
    """A phone that is made for IMS asks so for its first challenge. Half of it is a wrong password."""
    first = Server(verifier()).ask(asking(authorization=EMPTY))
    assert isinstance(first, Challenge)
    assert (first.flaw, first.stale) == ("", False)
    guess = Server(verifier()).ask(asking(authorization=EMPTY.replace('response=""', 'response="0", qop=auth')))
    assert isinstance(guess, Challenge)
    assert guess.flaw == "wrong password"


@pytest.mark.parametrize("known", [verifier(), None])
@pytest.mark.parametrize(
    ("written", "by", "option"),
    [
        ("qop=auth,", "qop=auth-int,", "qop"),
        ("qop=auth,", "qop=auth, userhash=true,", "userhash"),
        ("qop=auth,", 'qop=auth, userhash="TRUE",', "userhash"),
    ],
)
def test_option_that_was_not_offered_is_named(known: Verifier | None, written: str, by: str, option: str) -> None:
    """Another password would not help. An unknown user gets the same answer, and ``userhash=false`` changes nothing."""
    server = Server(known)
    good = answered(server.challenge())
    value = good.first("authorization") or ""
    assert server.ask(asking(authorization=value.replace(written, by))) == Refused(
        400, f"Digest {option} Was Not Offered"
    )
    same = asking(authorization=value.replace(written, "qop=auth, userhash=false,"))
    assert isinstance(server.ask(same), Proved) is (known is not None)


def test_credentials_without_qop_are_a_flaw_of_their_own() -> None:
    server = Server(verifier())
    value = answered(server.challenge()).first("authorization") or ""
    again = server.ask(asking(authorization=value.replace("qop=auth, ", "")))
    assert isinstance(again, Challenge)
    assert again.flaw == "malformed: without qop, which was offered"


@pytest.mark.parametrize("realm", ["other.test", "example.test"])
def test_right_credentials_count_behind_others_with_an_unsupported_algorithm(realm: str) -> None:
    server = Server(verifier())
    good = answered(server.challenge())
    good.prepend("authorization", UNSUPPORTED.format(realm, "SHA-512-256"))
    assert isinstance(server.ask(good), Proved)


@pytest.mark.parametrize(("late", "stale"), [(60.0, False), (60.5, True)])
def test_an_old_nonce_under_the_right_password_is_stale_and_no_failure(*, late: float, stale: bool) -> None:
    server = Server(verifier())
    again = server.ask(answered(server.challenge()), late)
    assert isinstance(again, Challenge) is stale
    if isinstance(again, Challenge):
        assert (again.stale, again.flaw) == (True, "")
        assert "stale=true" in again.headers[0][1]


def test_an_old_nonce_under_a_wrong_password_is_not_called_stale() -> None:
    """RFC 7616 3.3: stale says that the password was right."""
    server = Server(verifier())
    again = server.ask(answered(server.challenge(), "wrong"), 61)
    assert isinstance(again, Challenge)
    assert (again.stale, again.flaw) == (False, "wrong password")


@pytest.mark.parametrize(("second", "proved"), [(1, False), (2, True)])
def test_nonce_count_is_accepted_once(*, second: int, proved: bool) -> None:
    server = Server(verifier())
    challenge = server.challenge()
    assert isinstance(server.ask(answered(challenge, nc=1)), Proved)
    assert isinstance(server.ask(answered(challenge, nc=second)), Proved) is proved


def test_nonce_of_another_server_gets_a_new_challenge() -> None:
    """For example after a restart with a new key. The password is right, so it is not a failed login."""
    elsewhere, server = Server(verifier()), Server(verifier())
    server.nonces = Nonces(b"x" * 32, lifetime_s=60)
    again = server.ask(answered(elsewhere.challenge()))
    assert isinstance(again, Challenge)
    assert (again.stale, again.flaw) == (True, "")


def test_nonce_of_another_link_gets_a_new_challenge() -> None:
    """A phone that has come back may answer with it once more; a thief gets nothing for it."""
    server = Server(verifier())
    challenge = server.challenge()
    again = server.ask(answered(challenge), link=2)
    assert isinstance(again, Challenge)
    assert (again.stale, again.flaw) == (True, "")
    assert isinstance(server.ask(answered(challenge)), Proved)


@pytest.mark.parametrize("uri", ["sip:example.test", "sip:EXAMPLE.test"])
def test_credentials_for_an_equivalent_uri_are_accepted(uri: str) -> None:
    server = Server(verifier())
    assert isinstance(server.ask(answered(server.challenge(), uri=uri)), Proved)


@pytest.mark.parametrize("uri", ["sip:bob@example.test", "sip:other.test"])
def test_credentials_for_another_uri_are_refused(uri: str) -> None:
    server = Server(verifier())
    assert server.ask(answered(server.challenge(), uri=uri)) == Refused(400, "Digest URI Is Not The Request-URI")


@pytest.mark.parametrize(
    ("asked", "signed", "same"),
    [
        ("sip:example.test", "sip:127.0.0.1:5061", True),
        ("sip:bob@example.test", "sip:127.0.0.1:5061", True),
        ("sip:erin@partner.test", "sips:example.test", True),
        ("sip:bob@example.test", "sip:bob@127.0.0.1:5061;transport=tls", True),
        ("sips:%62ob@example.test", "sip:bob@example.test;transport=tls", True),
        ("sip:bob@example.test", "sip:carol@127.0.0.1:5061", False),
        ("sip:erin@partner.test", "sip:erin@127.0.0.1:5061", False),
        ("sip:bob@example.test", "sip:127.0.0.2:5061", False),
        ("sip:bob@example.test", "sip:other.test", False),
        ("sip:bob@example.test", "sip:bob@other.test", False),
    ],
)
def test_signed_uri_is_the_same_resource_or_this_server(asked: str, signed: str, *, same: bool) -> None:
    """SIPp signs the address of the server in each request. Never accepted: what was signed for another server or user."""
    request = build_request("MESSAGE", asked, [])
    assert same_resource(signed, request, lambda uri: uri.host in {"example.test", "127.0.0.1"}) is same
    assert same_resource(asked, request, nothing_means_us)


def test_credentials_of_the_right_user_are_found_among_those_of_other_accounts() -> None:
    server = Server(verifier())
    request = answered(server.challenge())
    [own] = request.values("authorization")
    request.remove("authorization")
    for value in (own.replace('username="alice"', 'username="bob"'), own):
        request.append("authorization", value)
    assert isinstance(server.ask(request), Proved)


@pytest.mark.parametrize("value", ["Digest username", 'Digest username="alice", realm="example.test"'])
def test_malformed_credentials_are_refused(value: str) -> None:
    assert Server(verifier()).ask(asking(authorization=value)) == Refused(400, "Malformed Credentials")


def test_credentials_for_another_realm_or_scheme_are_ignored() -> None:
    server = Server(verifier())
    held = [parse_challenge(value.replace("example.test", "partner.test")) for _, value in server.challenge().headers]
    foreign = answer(held, "alice", "alice-pw", "REGISTER", "sip:example.test", "cnonce", 1)
    for value in (foreign, "Basic YWxpY2U6eA=="):
        again = server.ask(asking(authorization=value))
        assert isinstance(again, Challenge)
        assert not again.flaw


def test_register_proves_to_and_other_methods_prove_from() -> None:
    assert claimed(asking("REGISTER")) == "sip:to@example.test"
    assert claimed(asking("MESSAGE")) == "sip:from@example.test"


def test_hashes_are_not_in_the_repr() -> None:
    assert ha1("alice", "example.test", "alice-pw", Algorithm.MD5) not in repr(verifier())


DEVICE = "alice+desk"


def with_device(algorithms: Sequence[Algorithm] = BOTH) -> Verifier:
    """Alice, whose device has a password of its own; the user's own password offers *algorithms*."""
    user, password = (
        verifier(algorithms),
        DevicePassword(9, {one: ha1(DEVICE, "example.test", "desk", one) for one in BOTH}),
    )
    return Verifier(user.aor, user.generation, user.ha1, devices={"desk": password})


@pytest.mark.parametrize("offered", [BOTH, (Algorithm.SHA_256,), (Algorithm.MD5,)])
def test_device_proves_its_user_by_its_own_password(offered: Sequence[Algorithm]) -> None:
    """The challenge is that of the user: it does not tell whether there are devices."""
    server = Server(with_device(offered))
    challenge = server.challenge()
    assert algorithms(challenge) == list(map(str, offered))
    assert server.ask(answered(challenge, "desk", user=DEVICE)) == Proved(ALICE, 9, offered[0], "desk")
    assert server.ask(answered(server.challenge())) == Proved(ALICE, 3, offered[0])


@pytest.mark.parametrize(
    ("user", "password", "flaw"),
    [
        (DEVICE, PASSWORD, "wrong password"),
        ("alice", "desk", "wrong password"),
        ("alice+other", "desk", "unknown device, or its password was revoked"),
        ("alice+", "desk", "unknown device, or its password was revoked"),
        ("bob+desk", "desk", "the user name is not that of the address"),
        ("desk", "desk", "the user name is not that of the address"),
    ],
)
def test_password_of_a_device_is_for_its_user_name_alone(user: str, password: str, flaw: str) -> None:
    server = Server(with_device())
    refused = server.ask(answered(server.challenge(), password, user=user))
    assert isinstance(refused, Challenge)
    assert refused.flaw == flaw


def test_device_uses_no_algorithm_that_its_user_does_not_offer() -> None:
    server = Server(with_device((Algorithm.SHA_256,)))
    other = Server(with_device((Algorithm.MD5,)))
    other.nonces = server.nonces
    refused = server.ask(answered(other.challenge(), "desk", user=DEVICE))
    assert isinstance(refused, Challenge)
    assert refused.flaw == "MD5 was not offered"
