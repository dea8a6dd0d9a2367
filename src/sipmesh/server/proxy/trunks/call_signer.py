"""Signs calls of our users to a trunk (STIR/SHAKEN, RFC 8588): the attest says what was proved about the caller's number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.privacy import hides_identity
from sipmesh.routing.numbers.e164 import dialled_number
from sipmesh.routing.passport.shaken import write_token
from sipmesh.sip.date import sip_date
from sipmesh.trust.x509.number_scope import may_sign_for

if TYPE_CHECKING:
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.gatekeeper import Gatekeeper
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.sip.message import Request

OWN, OF_OTHERS = "A", "B"
IDENTITY: Final = "identity"


class CallSigner:
    """Signs under the topology in force. A call that cannot be signed leaves without a signature, and the log says why."""

    def __init__(self, current: Current, gatekeeper: Gatekeeper, log: LimitedLog) -> None:
        self._current, self._gatekeeper, self._log = current, gatekeeper, log

    def sign(self, copy: Request, trunk: str, number: str, *, is_own: bool) -> None:
        """Sign *copy*, a request of a user with *number* to *trunk*; *is_own* says that the number is proved to be the user's.

        Only a call between two whole numbers is signed. A signature that has come with the call is not ours, and is removed. It
        would have the number of a caller who is withheld, and no privacy service of a provider takes it out.
        """
        rule = self._current.value.stir.get(trunk)
        if rule is None or not rule.signs or copy.method != "INVITE" or copy.to.tag is not None:
            return
        copy.remove(IDENTITY)
        callee = dialled_number(copy.ruri)
        if not (number and callee) or hides_identity(copy):
            return
        own = rule.own
        if own is None or not may_sign_for(own.certificate, number.removeprefix("+")):
            why = "the files of `stir.sign` cannot be used" if own is None else f"{number} is not in the TNAuthList"
            self._log.warning(trunk, "a call was not signed", trunk=trunk, why=why)
            return
        now = int(self._gatekeeper.clock().timestamp())
        copy.append(IDENTITY, write_token(number, callee, OWN if is_own else OF_OTHERS, now, own.url, own.key))
        if not copy.has("date"):  # RFC 8224 section 4.1
            copy.append("date", sip_date(now))
