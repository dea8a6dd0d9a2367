"""A phone that keeps its contacts at management by CardDAV, over real TLS."""

from __future__ import annotations

import json
from base64 import b64encode
from xml.etree import ElementTree as ET

from support.invited import Answer, Invitee
from support.managed import Managed
from support.management_with_invitations import invite

DAV, CARD = "{DAV:}", "{urn:ietf:params:xml:ns:carddav}"
ALICE = "alice+json@example.test"


def vcard(name: str, address: str = "", *more: str) -> str:
    """A vCard as a phone sends it."""
    address_line = [f"IMPP:sip:{address}"] if address else []
    return "\r\n".join(["BEGIN:VCARD", "VERSION:4.0", f"FN:{name}", *address_line, *more, "END:VCARD", ""])


class DavPhone:
    """A phone with the *password* of a device, which *person* reaches management for. *base* is the address of the pages."""

    def __init__(self, person: Invitee, base: str, password: str, login: str = ALICE) -> None:
        self.person, self.base, self.password, self.login = person, base, password, login

    @classmethod
    async def set_up(cls, network: Managed, person: Invitee, user: str = "alice") -> DavPhone:
        """Have a user set up a phone by an invitation."""
        link = await invite(network, user)
        account = json.loads((await person.take(link, "json")).text)["account"]
        return cls(person, link.partition("/i/")[0], str(account["password"]), f"{user}+json@example.test")

    @property
    def credentials(self) -> dict[str, str]:
        """The header field that logs in."""
        known = b64encode(f"{self.login}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {known}"} if self.login else {}

    async def ask(self, method: str, path: str, body: str | bytes = "", **fields: str) -> Answer:
        """Send one request; *fields* are header fields, with ``_`` in the place of ``-``."""
        headers = self.credentials | {name.replace("_", "-"): value for name, value in fields.items()}
        return await self.person.ask(method, f"{self.base}{path}", data=body, headers=headers, allow_redirects=False)

    async def put(self, name: str, card: str, **fields: str) -> int:
        """Write one contact; gives the status."""
        return (await self.ask("PUT", f"/contacts/book/{name}.vcf", card, **fields)).status

    async def names(self) -> list[str]:
        """Give the names of all contacts, as a report has them."""
        prop = "<d:prop><d:getetag/><card:address-data/></d:prop>"
        body = f'<card:addressbook-query xmlns:d="DAV:" xmlns:card="{CARD[1:-1]}">{prop}</card:addressbook-query>'
        answer = await self.ask("REPORT", "/contacts/book/", body, Depth="1")
        assert answer.status == 207, answer.text
        cards = [one.text or "" for one in ET.fromstring(answer.text).iter(f"{CARD}address-data")]  # noqa: S314 - ours
        return sorted(line[3:] for card in cards for line in card.splitlines() if line.startswith("FN:"))
