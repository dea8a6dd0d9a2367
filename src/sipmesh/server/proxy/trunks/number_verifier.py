"""Verifies who has signed a call of a trunk (STIR/SHAKEN, RFC 8224, RFC 8588), and writes the result for our front ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.verstat import NUMBER_VERIFICATION, Verstat
from sipmesh.routing.outcome import Answer
from sipmesh.routing.passport.identity_field import MOST_FIELDS
from sipmesh.routing.passport.shaken import NumberToken, attest_of, read_token
from sipmesh.sip.status import Status
from sipmesh.topology.document.parts.stir import StirMode
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.code import Code
from sipmesh.trust.revocation.crl_point import is_allowed
from sipmesh.trust.x509.certificate import is_authority
from sipmesh.trust.x509.number_scope import may_sign_for

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.server.in_force.stir_rules import StirRule
    from sipmesh.server.proxy.gatekeeper import Gatekeeper
    from sipmesh.server.proxy.trunks.signer_chains import SignerChains
    from sipmesh.server.proxy.trunks.signer_lists import SignerLists
    from sipmesh.server.proxy.used_passports import UsedPassports
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.sip.message import Request

RULE: Final = "RFC 8224 section 6.2"


class NumberVerifier:
    """Judges the Identity fields of calls by the rule of their trunk. *gatekeeper* has the clock.

    *chains* are the certificates, *lists* their CRLs, *used* the tokens that were accepted.
    """

    def __init__(
        self, gatekeeper: Gatekeeper, chains: SignerChains, lists: SignerLists, used: UsedPassports, log: LimitedLog
    ) -> None:
        self._gatekeeper, self.chains, self.lists, self._used, self._log = gatekeeper, chains, lists, used, log

    def judge(self, request: Request, trunk: str, rule: StirRule, caller: str) -> Answer | None:
        """Write the result into *request*, a call of *trunk* by *caller*; give the answer to a call that may not pass.

        *caller* is a global number, "" for a caller without one. The Request-URI is that of the number called.
        """
        fields, why, status, attest = (
            request.values("identity"),
            "the call is not signed",
            Status.USE_IDENTITY_HEADER,
            "",
        )
        result = Verstat.NONE
        if fields:
            try:
                attest = self._attested(fields, request, trunk, rule, caller)
                result = Verstat.PASSED
            except RemoteError as wrong:
                why, status = str(wrong), Status(wrong.status)
                result = Verstat.NONE if status == Status.BAD_IDENTITY_INFO else Verstat.FAILED
        if result is not Verstat.PASSED:
            self._log.info(trunk, "a call of a trunk is not verified", trunk=trunk, caller=caller, why=why)
            if rule.mode is StirMode.REQUIRE:
                code = Code.IDENTITY_INVALID if fields else Code.IDENTITY_MISSING
                return Answer(status, code=code, why=f"{trunk}: {why}")
        request.append(NUMBER_VERIFICATION, f"{result};attest={attest}" if attest else str(result))
        return None

    def _attested(self, fields: list[str], request: Request, trunk: str, rule: StirRule, caller: str) -> str:
        """Give the attest of the call; raises RemoteError for each fault of a field, and for a caller without a number."""
        if len(fields) > MOST_FIELDS:
            raise RemoteError("too many Identity fields", rule=RULE, status=Status.INVALID_IDENTITY_HEADER)
        at = self._gatekeeper.clock()
        tokens = [self._verified(read_token(field), trunk, rule, at) for field in fields]
        found = attest_of(tokens, caller, request.ruri.user or "", int(at.timestamp()))
        if self._used.is_replayed(trunk, found.mark, request, int(at.timestamp())):
            raise RemoteError("its token was used for another call", rule=RULE, status=Status.INVALID_IDENTITY_HEADER)
        return found.attest

    def _verified(self, token: NumberToken, trunk: str, rule: StirRule, at: datetime) -> NumberToken:
        """Verify the certificate and the signature of one token; raises RemoteError 436 or 437."""
        if not is_allowed(token.url, rule.hosts):
            why = "its certificate is at a URL that is not below `stir.hosts` of the trunk"
            raise RemoteError(why, rule=RULE, status=Status.BAD_IDENTITY_INFO)
        chain = self.chains.of(trunk, token.url)
        if not chain:
            raise RemoteError("its certificate has not arrived yet", rule=RULE, status=Status.BAD_IDENTITY_INFO)
        if not rule.anchors or path_errors(chain, rule.anchors, at):
            raise RemoteError("its certificate is not valid", rule=RULE, status=Status.UNSUPPORTED_CREDENTIAL)
        if is_authority(chain[0]):
            raise RemoteError("its certificate is that of a CA", rule=RULE, status=Status.UNSUPPORTED_CREDENTIAL)
        self.lists.check(trunk, rule, chain, at)
        if not may_sign_for(chain[0], token.div or token.orig):
            raise RemoteError("its certificate is for other numbers", rule=RULE, status=Status.UNSUPPORTED_CREDENTIAL)
        token.must_be_of(chain[0].public_key())
        return token
