"""The account of one server at a public CA: its key, which never leaves this host, and its URL."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import josepy.jwa
import josepy.jwk
from acme import errors, messages
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from josepy.util import ComparableECKey

from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.files import key_pem, new_key, read_private
from sipmesh.server.public_certificates.acme_error import AcmeError
from sipmesh.sip import base64url
from sipmesh.storage.keyfile import read_password
from sipmesh.strict_json import read_object

if TYPE_CHECKING:
    from pathlib import Path

    from acme.client import ClientV2

    from sipmesh.topology.document.parts.acme import Acme, ExternalAccount

ALG = josepy.jwa.ES256


@dataclass(frozen=True, slots=True)
class AcmeAccount:
    """The account at the CA with this *directory*; *url* is "" until the CA has made it. *file* keeps it, with mode 0600."""

    file: Path
    directory: str
    key: EllipticCurvePrivateKey
    url: str = ""

    @classmethod
    def at(cls, file: Path, directory: str) -> Self:
        """Return the account in *file*, or a new one, if that is of another CA or cannot be read."""
        try:
            found = read_object(read_private(file))
            key = load_pem_private_key(str(found["key"]).encode(), None)
            if found["directory"] == directory and isinstance(key, EllipticCurvePrivateKey):
                return cls(file, directory, key, str(found["url"]))
        except (OSError, OperatorError, ValueError, KeyError, TypeError):
            pass  # it is replaced: an account costs nothing
        return cls(file, directory, new_key())

    @property
    def jwk(self) -> josepy.jwk.JWK:
        """The key as ACME uses it."""
        return josepy.jwk.JWKEC(key=ComparableECKey(self.key))

    @property
    def resource(self) -> messages.RegistrationResource | None:
        """The account as the client needs it, None before it was made."""
        return messages.RegistrationResource(body=messages.Registration(), uri=self.url) if self.url else None

    def registered(self, client: ClientV2, acme: Acme, folder: Path) -> AcmeAccount:
        """Return the account after the CA has made it, and write it down; *folder* is that of the organisation."""
        if self.url:
            return self
        external = acme.external_account
        if external is None and client.external_account_required():
            raise AcmeError("the CA makes no account without an external account", "add `acme.external_account`")
        bound = _binding(external, folder, self.jwk, client) if external is not None else None
        new = messages.NewRegistration(
            contact=acme.contacts, terms_of_service_agreed=True, external_account_binding=bound
        )
        try:
            url = client.new_account(new).uri
        except errors.ConflictError as known:  # the key has an account already
            url = known.location
        made = replace(self, url=str(url))
        client.net.account = made.resource
        made.write()
        return made

    def forget(self) -> None:
        """Remove it: the CA does not serve it any more. The next order makes another one."""
        self.file.unlink(missing_ok=True)

    def write(self) -> None:
        """Write the account into its file."""
        content = {"directory": self.directory, "url": self.url, "key": key_pem(self.key).decode()}
        files.write(self.file, json.dumps(content).encode(), files.SECRET)


def _binding(external: ExternalAccount, folder: Path, key: josepy.jwk.JWK, client: ClientV2) -> dict[str, object]:
    secret = read_password(folder / external.key_file, folder)
    try:
        base64url.decode(secret.rstrip("=").encode())
    except ValueError:
        remedy = f"write the MAC key of the CA into {external.key_file}, in base64url"
        raise AcmeError(f"{external.key_file} has no MAC key in base64url", remedy) from None
    bound = messages.ExternalAccountBinding.from_data(key.public_key(), external.id, secret, client.directory)
    return dict(bound)
