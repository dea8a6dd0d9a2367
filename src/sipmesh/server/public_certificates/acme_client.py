"""One order at a public CA, from the directory to the chain; it runs in a thread, because the library waits."""

from __future__ import annotations

from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import josepy.errors
from acme import challenges, crypto_util, errors, messages
from acme.client import ClientV2
from requests import RequestException
from requests.exceptions import SSLError, Timeout
from urllib3.exceptions import HTTPError

from sipmesh.pki.files import key_pem
from sipmesh.server.public_certificates.acme_account import ALG, AcmeAccount
from sipmesh.server.public_certificates.acme_error import AcmeError
from sipmesh.server.public_certificates.acme_network import AcmeNetwork
from sipmesh.trust.formatting import tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from sipmesh.server.public_certificates.acme_network import Origin
    from sipmesh.server.public_certificates.challenges import Solver
    from sipmesh.topology.document.parts.acme import Acme

POLLED_S: Final = 120
"""Seconds for the CA to look at all answers, and to issue."""

MOST_AUTHORIZATIONS: Final = 100
ASK_AGAIN: Final = timedelta(hours=6)
"""The pause between two questions for renewal information, unless the CA names a longer one (RFC 9773 4.3)."""

GONE: Final = "accountDoesNotExist"
UNAUTHORIZED: Final = "unauthorized"
MALFORMED: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What the library raises for JSON that is not what it expects, and for times outside the calendar."""


class AcmeClient:
    """Asks the CA of *acme* over *origin*; the account is in *file*, and secrets are in the organisation's *folder*."""

    def __init__(self, acme: Acme, origin: Origin, file: Path, folder: Path) -> None:
        self._acme, self._folder = acme, folder
        self._account = AcmeAccount.at(file, acme.directory)
        self._network = AcmeNetwork(origin, self._account.jwk, ALG, self._account.resource)

    def stop(self) -> None:
        """End what is under way in the thread, with its next request."""
        self._network.stop()

    def order(self, names: Sequence[str], key: EllipticCurvePrivateKey, solver: Solver) -> tuple[str, str]:
        """Return a new chain for *names* and *key* in PEM, and the URL of the account; raises `AcmeError`."""
        with closing(self._network), _translated():
            client = self._client()
            self._account = self._account.registered(client, self._acme, self._folder)
            try:
                return self._chain(client, names, key, solver), self._account.url
            except messages.Error as refused:
                if refused.code == GONE or (refused.code == UNAUTHORIZED and self._is_deactivated(client)):
                    self._account.forget()
                raise
            finally:
                solver.retract()

    def renewal_time(self, certificate: bytes) -> tuple[datetime | None, timedelta]:
        """Return when the CA wants *certificate*, in PEM, renewed, None if it does not say, and when to ask again."""
        with closing(self._network), _translated():
            found, again = self._client().renewal_time(certificate)
            pause = again - datetime.now()  # noqa: DTZ005 - as the library gives it
            return found.astimezone(UTC) if found is not None else None, max(pause, ASK_AGAIN)

    def _client(self) -> ClientV2:
        return ClientV2(ClientV2.get_directory(self._acme.directory, self._network), self._network)

    def _is_deactivated(self, client: ClientV2) -> bool:
        """Tell whether the CA refuses the account itself (RFC 8555 7.3.6): it will never serve this account again."""
        account = self._account.resource
        if account is None:
            return False
        try:
            client.query_registration(account)
        except messages.Error as refused:
            return bool(refused.code == UNAUTHORIZED)
        return False

    def _chain(self, client: ClientV2, names: Sequence[str], key: EllipticCurvePrivateKey, solver: Solver) -> str:
        order = client.new_order(crypto_util.make_csr(key_pem(key), list(names)))
        if len(order.authorizations) > MOST_AUTHORIZATIONS:
            raise AcmeError(f"it wants {len(order.authorizations)} authorizations for {len(names)} names")
        wanted = [self._published(one, names, solver) for one in order.authorizations if _is_pending(one)]
        if wanted:
            solver.settle(self._network.stopped)
        for challenge in wanted:
            client.answer_challenge(challenge, challenge.chall.response(self._account.jwk))
        ends = datetime.now() + timedelta(seconds=POLLED_S)  # noqa: DTZ005 - as the library takes it
        return str(client.finalize_order(client.poll_authorizations(order, ends), ends).fullchain_pem)

    def _published(
        self, one: messages.AuthorizationResource, names: Sequence[str], solver: Solver
    ) -> messages.ChallengeBody:
        """Answer the challenge of one authorization, and return it."""
        name = one.body.identifier.value
        if name not in names:
            raise AcmeError(f"it asks for a proof of {name[:200]!r}, which was not ordered")
        for challenge in one.body.challenges:
            body = challenge.chall
            if isinstance(body, challenges.KeyAuthorizationChallenge) and body.typ == solver.kind:
                solver.publish(name, body, self._account.jwk)
                return challenge
        offered = (
            ", ".join(sorted(tell(str(challenge.chall.to_json().get("type"))) for challenge in one.body.challenges))
            or "none"
        )
        raise AcmeError(f"it offers no {solver.kind} for {name}, but {offered}", "set another `acme.challenge`")


def _is_pending(one: messages.AuthorizationResource) -> bool:
    return bool(one.body.status != messages.STATUS_VALID)


def _reason(wrong: Exception) -> str:
    """Say why there is no answer, without the words of the HTTP library."""
    if isinstance(wrong, SSLError):
        return "its TLS certificate is refused"
    if isinstance(wrong, Timeout):
        return "it does not answer in time"
    answer = getattr(wrong, "response", None)
    return "no connection to it works" if answer is None else f"it answers {answer.status_code}"


@contextmanager
def _translated() -> Iterator[None]:
    """Translate each error of the libraries to `AcmeError`."""
    try:
        yield
    except errors.ValidationError as failed:
        raise AcmeError(f"the CA finds no proof: {'; '.join(_failures(failed))}") from None
    except errors.TimeoutError:
        raise AcmeError(f"the CA has not decided within {POLLED_S:g} s") from None
    except messages.Error as refused:
        detail = f"{refused.code or refused.typ}: {refused.detail or refused.title or ''}"
        raise AcmeError(f"the CA refuses: {tell(detail)}", _ADVICE.get(refused.code or "", ASK)) from None
    except (RequestException, HTTPError, OSError) as wrong:
        remedy = "check that this server reaches the directory, and `acme.anchors`"
        raise AcmeError(f"the CA cannot be reached: {_reason(wrong)}", remedy) from None
    except (errors.Error, josepy.errors.Error, *MALFORMED) as wrong:
        text = tell(str(wrong)) or type(wrong).__name__
        raise AcmeError(f"the answer of the CA cannot be used ({text})", "check `acme.directory`") from None


ASK: Final = "correct `acme` in the topology as the CA says; orders are repeated by themselves"
_ADVICE: Final = {
    "rateLimited": "wait: the CA says until when; orders are repeated by themselves",
    "externalAccountRequired": "add `acme.external_account`",
    "caa": "allow the CA in the CAA records of the names: sipmesh topology dns",
    "rejectedIdentifier": "the CA issues nothing for this name: check `sip_domains` and the names of servers",
}


def _failures(failed: errors.ValidationError) -> Iterator[str]:
    for one in failed.failed_authzrs:
        for challenge in one.body.challenges:
            if challenge.error is not None:
                yield f"{tell(one.body.identifier.value)}: {tell(challenge.error.detail or str(challenge.error))}"
