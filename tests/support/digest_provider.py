"""A provider that challenges by digest: its challenges, and a check of credentials by hashlib alone."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from sipmesh.sip.message import Request
from support.peer import Peer

FIELDS = {401: ("www-authenticate", "authorization"), 407: ("proxy-authenticate", "proxy-authorization")}


@dataclass
class DigestAccount:
    """An account at a provider."""

    user: str = "491234567"
    realm: str = "provider.realm.test"
    password: str = "of-the-account"
    algorithm: str = "SHA-256"
    status: int = 407

    def challenge(self, nonce: str = "n1", **other: str) -> tuple[str, str]:
        """A challenge field; *other* replaces what it says."""
        given = {"realm": self.realm, "nonce": nonce, "algorithm": self.algorithm, "qop": "auth", **other}
        text = ", ".join(f'{key}="{value}"' if key != "algorithm" else f"{key}={value}" for key, value in given.items())
        return FIELDS[self.status][0], f"Digest {text}"

    async def challenges(self, trunk: Peer, request: Request, nonce: str = "n1", **other: str) -> None:
        """Challenge a request."""
        await trunk.reply(request, self.status, [self.challenge(nonce, **other)])

    def credentials(self, request: Request) -> dict[str, str]:
        """The fields of the credentials in a request; {} without any."""
        found = request.values(FIELDS[self.status][1])
        return {key: value.strip('"') for key, value in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', " ".join(found))}

    def proved(self, request: Request, nonce: str = "n1", count: int = 1) -> bool:
        """Whether a request has the right credentials for *nonce*, for the *count*-th time."""
        given = self.credentials(request)
        if given.get("realm") != self.realm or given.get("nonce") != nonce or given.get("nc") != f"{count:08x}":
            return False
        secret = self._hash(f"{self.user}:{self.realm}:{self.password}")
        asked = self._hash(f"{request.method}:{given['uri']}")
        wanted = self._hash(f"{secret}:{nonce}:{given['nc']}:{given['cnonce']}:auth:{asked}")
        return given["username"] == self.user and given["uri"] == request.uri and given["response"] == wanted

    def _hash(self, text: str) -> str:
        name = {"SHA-256": "sha256", "MD5": "md5"}[self.algorithm]
        return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()
