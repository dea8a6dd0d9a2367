import pytest

from sipmesh.client.login import Login
from sipmesh.sip.digest import Algorithm, Credentials, challenge_values
from sipmesh.sip.message import Request, Response, build_request, respond

LOGIN = Login("alice", "example.test", "alice-pw")


def request(*credentials: str) -> Request:
    headers = [("authorization", value) for value in credentials]
    return build_request("REGISTER", "sip:example.test", headers)


def challenged(*values: str, status: int = 401) -> Response:
    name = "www-authenticate" if status == 401 else "proxy-authenticate"
    return respond(request(), status, headers=[(name, value) for value in values])


def challenge(
    algorithm: Algorithm = Algorithm.SHA_256, realm: str = "example.test", *, stale: bool = False, nonce: str = "n"
) -> str:
    return challenge_values(realm, nonce, [algorithm], stale=stale)[0]


@pytest.mark.parametrize(("status", "name"), [(401, "authorization"), (407, "proxy-authorization")])
def test_a_challenge_is_answered_in_the_field_it_asks_for(status: int, name: str) -> None:
    answered = LOGIN.credentials(request(), challenged(challenge(), status=status))
    assert answered is not None
    assert answered[0] == name
    assert Credentials.parse(answered[1]).username == "alice"


def test_the_strongest_of_several_is_answered() -> None:
    answered = LOGIN.credentials(request(), challenged(challenge(Algorithm.MD5), challenge()))
    assert answered is not None
    assert Credentials.parse(answered[1]).algorithm is Algorithm.SHA_256


def test_a_challenge_of_another_realm_gets_no_hash_of_our_password() -> None:
    assert LOGIN.credentials(request(), challenged(challenge(realm="evil.test"))) is None


def test_without_a_password_nothing_is_answered() -> None:
    assert Login("alice", "example.test", "").credentials(request(), challenged(challenge())) is None


@pytest.mark.parametrize(("stale", "again"), [(False, False), (True, True)])
def test_a_second_challenge_is_answered_only_if_the_nonce_was_stale(*, stale: bool, again: bool) -> None:
    first = LOGIN.credentials(request(), challenged(challenge()))
    assert first is not None
    second = LOGIN.credentials(request(first[1]), challenged(challenge(stale=stale, nonce="m")))
    assert (second is not None) is again


@pytest.mark.parametrize("value", ['Basic realm="example.test"', 'Digest realm="example.test", nonce="n", algorithm=X'])
def test_unsupported_challenge_is_not_answered(value: str) -> None:
    assert LOGIN.credentials(request(), challenged(value)) is None


def test_success_needs_no_credentials() -> None:
    assert LOGIN.credentials(request(), respond(request(), 200)) is None


def test_the_password_is_not_in_the_repr() -> None:
    assert "alice-pw" not in repr(LOGIN)
