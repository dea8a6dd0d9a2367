"""A web phone at management: it shows tickets for the account of its user, over real TLS."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sipmesh.demo.organisation import PoolPlan
from sipmesh.pki import files
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.routing.events.login_proof import LoginProof
from sipmesh.server.contacts.account_ticket import KIND, LIFETIME_S, AccountTicket, write_ticket
from sipmesh.storage.users.device_rows import row_with_devices
from sipmesh.storage.users.password_hashes import verifier_of
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import sign
from sipmesh.topology.view import view
from support.invited import Answer, Invitee
from support.managed import Managed
from support.management_with_invitations import invite, invitee, management_with_invitations
from support.network import FE1, build_example

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
LIST = "/contacts/list"


class TicketPage:
    """A web phone at the pages of *network*; *base* is their address."""

    def __init__(self, network: Managed, person: Invitee, base: str) -> None:
        self.network, self.person, self.base = network, person, base

    @classmethod
    @asynccontextmanager
    async def opened(cls, folder: Path, *further: PoolPlan, **pages: Any) -> AsyncIterator[TicketPage]:
        """Have a management server run, and reach it."""
        async with management_with_invitations(folder, *further, **pages) as network, invitee(network) as person:
            yield cls(network, person, (await invite(network)).partition("/i/")[0])

    def users(self) -> Users:
        """Open the user database."""
        return Users(self.network.organisation.load().users_url, in_memory=False)

    def verifier(self, user: str = ALICE) -> Verifier:
        """Read what the servers know of a user's logins."""
        users = self.users()
        try:
            with users.reading() as db:
                row = row_with_devices(db, user)
        finally:
            users.close()
        return verifier_of(row) if row is not None else Verifier(user, 1, {})

    def ticket(self, server: str = FE1, user: str = ALICE, at: float = 0.0, **login: Any) -> str:
        """Have *server* sign for a phone that has logged in with the user's own password, unless *login* says another way."""
        known = self.verifier(user)
        proof = replace(LoginProof(known.generation), **login)
        return write_ticket(view(self.network.organisation.load(), server), known, proof, at or time.time())

    def of_partner(self, folder: Path, user: str = ALICE) -> str:
        """Have a front end of another organisation sign, whose servers and users have the same names."""
        known = self.verifier(user)
        return write_ticket(view(build_example(folder).load(), FE1), known, LoginProof(known.generation), time.time())

    def forged(self, signer: str, **claims: object) -> str:
        """Sign any *claims* with the key of *signer*."""
        served = view(self.network.organisation.load(), signer)
        known, until = self.verifier(), int(time.time()) + LIFETIME_S
        ticket = AccountTicket(FE1, ALICE, known.created, **asdict(LoginProof(known.generation)), until=until)
        said = {**asdict(ticket), **claims}
        return sign(
            json.dumps(said).encode(), KIND, read_certificates(served.certificate), files.read_key(served.key)
        ).decode()

    async def ask(self, ticket: str, method: str = "GET", path: str = LIST, **given: Any) -> Answer:
        """Send a request with a ticket."""
        headers = {"Authorization": f"Bearer {ticket}", **given.pop("headers", {})}
        return await self.person.ask(method, f"{self.base}{path}", headers=headers, **given)
