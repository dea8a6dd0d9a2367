"""ACME on the HTTPS server of management: which request goes where, and what all of them pass."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from aiohttp import web

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.server.enrolment.acme.account_requests import AccountRequests, must_be_valid
from sipmesh.server.enrolment.acme.asked import Answer, Asked
from sipmesh.server.enrolment.acme.jwk import Jwk
from sipmesh.server.enrolment.acme.jws import LARGEST, Jws
from sipmesh.server.enrolment.acme.nonces import Nonces
from sipmesh.server.enrolment.acme.order_requests import OrderRequests
from sipmesh.server.enrolment.acme.renewal_information import AGAIN_S, renewal_information
from sipmesh.server.enrolment.acme.revocation_request import revoke_certificate
from sipmesh.server.enrolment.acme.validations import Validations
from sipmesh.server.enrolment.enrollable import NotEnrollableError
from sipmesh.server.enrolment.paths import ACME
from sipmesh.server.enrolment.problem import MEDIA_TYPE, AcmeProblemError, problem_text
from sipmesh.server.process.http_peer import address_of
from sipmesh.server.process.request_rate import RequestRate
from sipmesh.storage.enrolment.acme_orders import OrderChangedError
from sipmesh.strict_json import read_json
from sipmesh.topology.document.parts.enrolment import EnrolmentProtocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sipmesh.server.enrolment.enrolment_host import EnrolmentHost
    from sipmesh.storage.enrolment.acme_accounts import AcmeAccount

FAILURES_A_MINUTE: Final = 20
"""Requests of one address that prove nothing: no account, no binding, or a wrong signature."""

JOSE: Final = "application/jose+json"
_UNPROVED: Final = frozenset({"unauthorized", "accountDoesNotExist", "externalAccountRequired"})
UNAVAILABLE, TOO_LARGE, WRONG_TYPE, TOO_MANY = 503, 413, 415, 429
_AGAIN: Final = {"Retry-After": "5"}


class Acme:
    """Answers ACME on *host*."""

    def __init__(self, host: EnrolmentHost) -> None:
        self._host = host
        self._nonces = Nonces(host.steady)
        self._failures = RequestRate(FAILURES_A_MINUTE, host.steady)
        self.validations = Validations(host)
        self._accounts = AccountRequests(host)
        self._orders = OrderRequests(host, self.validations.begin)

    def routes(self) -> list[web.RouteDef]:
        """Return the paths of ACME (RFC 8555 7.1)."""
        accounts, orders = self._accounts, self._orders
        by_key: Mapping[str, Callable[[Asked], Answer]] = {
            "new-account": accounts.new_account,
            "revoke-cert": lambda asked: revoke_certificate(self._host, asked),
        }
        by_account: Mapping[str, Callable[[Asked], Answer]] = {
            "account/{id}": accounts.account,
            "key-change": accounts.change_key,
            "new-order": orders.new_order,
            "orders/{id}": orders.orders,
            "order/{id}": orders.order,
            "order/{id}/finalize": orders.finalize,
            "authz/{id}": orders.authorization,
            "chall/{id}/{kind}": orders.challenge,
            "cert/{id}": orders.certificate,
        }
        posts = [web.post(f"{ACME}/{path}", self._answering(one)) for path, one in {**by_key, **by_account}.items()]
        reads = [
            web.get(f"{ACME}/directory", self._directory),
            web.get(f"{ACME}/new-nonce", self._new_nonce),
            web.get(f"{ACME}/renewal-info/{{certificate}}", self._renewal_info),
        ]
        return [*reads, *posts, web.route("*", ACME + "{rest:(/.*)?}", _refuse)]

    async def _directory(self, request: web.Request) -> web.Response:
        self._must_serve()
        base = f"{_base(request)}{ACME}"
        found = {
            "newNonce": f"{base}/new-nonce",
            "newAccount": f"{base}/new-account",
            "newOrder": f"{base}/new-order",
            "revokeCert": f"{base}/revoke-cert",
            "keyChange": f"{base}/key-change",
            "renewalInfo": f"{base}/renewal-info",
            "meta": {"externalAccountRequired": True},
        }
        return web.json_response(found)

    async def _new_nonce(self, request: web.Request) -> web.Response:
        """Give a nonce (RFC 8555 7.2)."""
        self._must_serve()
        return web.Response(status=200 if request.method == "HEAD" else 204, headers=self._headers(request))

    async def _renewal_info(self, request: web.Request) -> web.Response:
        self._must_serve()
        given = request.match_info["certificate"]
        try:
            found = await self._host.turns.work(renewal_information, self._host.ca, given, self._host.now())
        except AcmeProblemError as wrong:
            return self._problem(request, wrong)
        return web.json_response(found, headers={"Retry-After": str(AGAIN_S)})

    def _must_serve(self) -> None:
        if not self._host.serves(EnrolmentProtocol.ACME):
            raise web.HTTPNotFound(text="the topology has no `console.enrolment` with acme")

    def _answering(self, handle: Callable[[Asked], Answer]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            self._must_serve()
            try:
                return self._answered(request, await self._handled(request, handle))
            except AcmeProblemError as wrong:
                return self._problem(request, wrong)
            except NotEnrollableError as wrong:
                return self._problem(request, AcmeProblemError("unauthorized", wrong.message))
            except OrderChangedError as wrong:
                return self._problem(request, AcmeProblemError("serverInternal", wrong.message, UNAVAILABLE, _AGAIN))
            except (OperatorError, RemoteError) as wrong:
                self._host.refused(EnrolmentProtocol.ACME, "fault", address_of(request), str(wrong))
                detail = "management cannot do this now; its log says why"
                return self._problem(request, AcmeProblemError("serverInternal", detail, UNAVAILABLE, _AGAIN))

        return answer

    async def _handled(self, request: web.Request, handle: Callable[[Asked], Answer]) -> Answer:
        """Verify a request, and carry it out; only the leader of a pool does."""
        if not self._host.leads():
            raise AcmeProblemError("serverInternal", "another management server leads", UNAVAILABLE, _AGAIN)
        jws = Jws.read(await _body(request))
        found = await self._host.turns.work(self._carried_out, jws, _base(request), request.path, handle)
        if found.then is not None:
            found.then()
        return found

    def _carried_out(self, jws: Jws, base: str, path: str, handle: Callable[[Asked], Answer]) -> Answer:
        """Verify URL, key, signature and nonce (RFC 8555 6.2 to 6.5), then carry the request out."""
        if jws.url != f"{base}{path}":
            raise AcmeProblemError("unauthorized", "the url in the JWS is not that of the request (RFC 8555 6.4)")
        account = self._account(jws.kid) if jws.kid is not None else None
        key = Jwk.read(read_json(account.jwk) if account is not None else jws.header.get("jwk"))
        jws.must_be_signed_by(key)
        if not self._nonces.use(jws.header.get("nonce")):
            raise AcmeProblemError("badNonce", "the nonce was used before, has expired, or is not of this server", 400)
        if account is not None:
            must_be_valid(account)
        return handle(Asked(base, jws.url, _last(path), jws, key, account, self._host.now()))

    def _account(self, kid: str) -> AcmeAccount:
        """Return the account of a URL: another server of the pool has given it another host."""
        try:
            place, _, account_id = urlsplit(kid).path.rpartition("/")
        except ValueError:  # such as an open bracket in the host
            place = account_id = ""
        found = self._host.management_db.acme_accounts.find(account_id) if place == f"{ACME}/account" else None
        if found is None:
            raise AcmeProblemError("accountDoesNotExist", "there is no such account", 400)
        return found

    def _answered(self, request: web.Request, answer: Answer) -> web.Response:
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        headers = {**self._headers(request), **answer.headers}
        return web.Response(text=text, status=answer.status, headers=headers, content_type=answer.media_type)

    def _problem(self, request: web.Request, wrong: AcmeProblemError) -> web.Response:
        """Answer with a problem; what proves nothing counts against the address."""
        address = address_of(request)
        if wrong.kind != "badNonce":
            self._host.refused(EnrolmentProtocol.ACME, wrong.kind, address, wrong.detail)
        if wrong.kind in _UNPROVED and not self._failures.admits(address):
            raise web.HTTPTooManyRequests(headers={"Retry-After": "60"})
        headers = {**self._headers(request), **wrong.headers}
        text = problem_text(wrong.kind, wrong.detail, wrong.status, wrong.more)
        return web.Response(text=text, status=wrong.status, headers=headers, content_type=MEDIA_TYPE)

    def _headers(self, request: web.Request) -> dict[str, str]:
        """Return what each answer has: the next nonce, and where the directory is."""
        index = f'<{_base(request)}{ACME}/directory>;rel="index"'
        return {"Replay-Nonce": self._nonces.new(), "Link": index}


async def _refuse(request: web.Request) -> web.StreamResponse:
    """Refuse another path or method: what is read is asked for by POST (RFC 8555 6.3)."""
    raise web.HTTPMethodNotAllowed(request.method, ["POST"]) if request.method == "GET" else web.HTTPNotFound


def _base(request: web.Request) -> str:
    """Return the URL of this server as the client calls it: the console has checked the host."""
    return f"https://{request.host}"


def _last(path: str) -> str:
    """Return the identifier in a path: the third part."""
    parts = path.split("/")
    return parts[3] if len(parts) > 3 else ""  # noqa: PLR2004 - "", acme, kind, identifier


async def _body(request: web.Request) -> bytes:
    """Return the body of a request; raises `AcmeProblemError`."""
    if request.content_type != JOSE:
        raise AcmeProblemError("malformed", f"send {JOSE}", WRONG_TYPE)
    if (request.content_length or 0) > LARGEST or len(body := await request.read()) > LARGEST:
        raise AcmeProblemError("malformed", f"the request is larger than {LARGEST} octets", TOO_LARGE)
    return body
