"""Digest logins of phones over HTTPS: each response counts once, for one path and method, with the password of one device."""

from __future__ import annotations

from pathlib import Path

from sipmesh.sip.digest import DigestChallenge, answer, is_digest, parse_challenge
from support.contacts import DavPhone
from support.invited import Answer
from support.management_with_invitations import invitee, management_with_invitations
from support.running import on_loop

BOOK = "/contacts/book/"


class DigestPhone:
    """A phone that answers the challenges of management."""

    def __init__(self, phone: DavPhone) -> None:
        self._phone = phone

    async def challenge(self) -> DigestChallenge:
        refused = await self._phone.person.ask("PROPFIND", f"{self._phone.base}{BOOK}")
        assert (refused.status, is_digest(refused.headers["WWW-Authenticate"])) == (401, True)
        return parse_challenge(refused.headers["WWW-Authenticate"])

    def written(self, given: DigestChallenge, nc: int = 1, path: str = BOOK, method: str = "PROPFIND") -> str:
        login = self._phone.login.partition("@")[0]
        return answer([given], login, self._phone.password, method, path, "cnonce", nc)

    async def send(self, credentials: str, method: str = "PROPFIND", path: str = BOOK) -> Answer:
        headers = {"Authorization": credentials}
        return await self._phone.person.ask(method, f"{self._phone.base}{path}", headers=headers)


@on_loop
async def test_response_counts_once_for_what_it_was_made_for(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        phone = DigestPhone(await DavPhone.set_up(network, person))
        given = await phone.challenge()
        first = phone.written(given)
        assert (await phone.send(first)).status == 207
        assert (await phone.send(phone.written(given, 2))).status == 207
        assert (await phone.send(first)).status == 401  # a replay
        assert (await phone.send(phone.written(given, 3), "GET", f"{BOOK}x.vcf")).status == 401
        assert (await phone.send(phone.written(given, 4, "/contacts/"))).status == 401
        assert (await phone.send(phone.written(given, 5).replace("alice+json", "bob+json"))).status == 401
        assert (await phone.send("Digest username=alice")).status == 401
        forged = DigestChallenge(given.realm, "A" * 44, given.algorithm, given.qop, stale=False, opaque=None)
        assert (await phone.send(phone.written(forged))).status == 401
        assert (await phone.send(phone.written(given, 6))).status == 207
