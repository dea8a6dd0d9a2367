"""The names of callers and callees at the border to telephone trunks.

Inside this network, a caller behind a trunk is ``sip:+49…@TRUNK``: a number, asserted by the trunk that the host names. No user
of ours has such a name. Outside, a user of ours is ``sip:+49…@GATEWAY``: its number alone. From and To say so on each side, and
a response repeats those that its request had (`Request.rename`).
"""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_letters
from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.alias import name_of
from sipmesh.routing.identity.border import OWN
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.identity.privacy import ANONYMOUS, hides_identity, is_anonymous, is_hidden, privacy_of
from sipmesh.routing.numbers.dial_plan import DialPlan, local_digits
from sipmesh.routing.numbers.e164 import caller_number
from sipmesh.routing.numbers.trunk_table import TrunkTable
from sipmesh.routing.outcome import Answer
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.rows import CONTACT, P_ASSERTED_IDENTITY, named_row
from sipmesh.sip.tel import NO_DOMAIN, is_tel
from sipmesh.sip.text import shown
from sipmesh.sip.uri import unescaped
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from sipmesh.routing.identity.tokens import Tokens
    from sipmesh.sip.message import Message, Request, Response
    from sipmesh.sip.uri import SipUri

INTERNATIONAL: Final = DialPlan()
NOBODY: Final = f"sip:anonymous@{ANONYMOUS}"
ASSERTED: Final = "p-asserted-identity"
LETTERS: Final = frozenset(ascii_letters)


@dataclass(frozen=True, slots=True)
class TrunkNames:
    """The names at one gateway: *host* is its name for trunks, unless one has its own (`at`).

    *domain* is the SIP domain of users of ours inside, *domains* are all of ours, *trunks* all trunks of the topology, and *plan*
    is how numbers are written.
    """

    host: str
    domain: str
    domains: frozenset[str]
    trunks: TrunkTable
    plan: DialPlan = INTERNATIONAL

    @property
    def hosts(self) -> frozenset[str]:
        """All our names for trunks."""
        return self.trunks.hosts | {self.host}

    def at(self, trunk: str) -> str:
        """Give our name at *trunk*."""
        return self.trunks.trunks[trunk].host or self.host

    # From a trunk

    def enter(self, request: Request, trunk: str) -> str | Answer:
        """Name caller and callee of a request of *trunk* as inside, and give the identity of the caller.

        The caller is the number that the trunk asserts, or the number in From. A caller who is withheld and whom the trunk does
        not assert is the trunk itself, without a number.
        """
        asserted = asserted_number(request, self.plan)
        for number in (asserted, *self._shown(request)):
            if number is not None and not (number and self.trunks.may_assert(trunk, number)):
                why = f"{trunk} may not assert {shown(number or request.from_.uri)}"
                return Answer(403, code=Code.ASSERTION_NOT_ALLOWED, why=why)
        number = asserted or (caller_of(request.from_, self.plan) if not is_withheld(request.from_) else "")
        request.remove(ASSERTED)
        self._keep_own(request, trunk)
        identity = f"sip:{number}@{trunk}" if number else f"sip:{trunk}"
        is_hidden = is_withheld(request.from_) or hides_identity(request)
        self._rename_caller(request, NOBODY if is_hidden else identity)
        return identity

    def enter_dialog(self, request: Request, trunk: str, *, hidden: bool) -> None:
        """Name the sender of a request of *trunk* inside a dialog as inside. Its tag says who it is, and nothing is asserted.

        Phones show a changed From (RFC 4916). So a number that the trunk may not assert is not shown, also if it was called.
        *hidden*: one of the two sides hides, and no name inside the dialog may show it.
        """
        request.remove(ASSERTED)
        number = "" if hidden else caller_of(request.from_, self.plan)
        is_own = bool(number) and self.trunks.may_assert(trunk, number)
        self._rename_caller(request, f"sip:{number}@{trunk}" if is_own else NOBODY)
        to = name_of(request.to)
        if (
            to is not None and to.host in self.hosts and to.user
        ):  # the other side may be a trunk of this gateway, behind a user
            request.rename(named_row("to", f"sip:{to.user}@{self.domain}", request.to.tag))

    def _keep_own(self, request: Request, trunk: str) -> None:
        """Remove what says who has forwarded or transferred a call, if it names a number that *trunk* may not assert."""
        foreign = {
            row.name
            for row in request.rows
            if row.name in OWN
            for address in row.addresses
            if (number := caller_of(address, self.plan)) and not self.trunks.may_assert(trunk, number)
        }
        for name in foreign:
            request.remove(name)

    def _shown(self, request: Request) -> tuple[str, ...]:
        """Give the number that From shows; "" for a name that is no number; nothing if From is withheld."""
        return () if is_withheld(request.from_) else (caller_of(request.from_, self.plan),)

    def _rename_caller(self, request: Request, uri: str) -> None:
        request.rename(named_row("from", uri, request.from_.tag))

    def callee_of(self, request: Request, trunk: str) -> str:
        """Give the number or the name that *trunk* calls, the user part of the Request-URI.

        A trunk where we have an account may call that account; then To has the number, or it is the main number.
        """
        route, uri = self.trunks.trunks[trunk], request.ruri
        if route.login is not None and uri.user == route.login.user:
            to = name_of(request.to)
            return (self.plan.whole_number(to) if to is not None else "") or route.main_number or route.login.user
        return self.plan.whole_number(uri) or uri.user or ""

    def name_callee(self, request: Request, callee: str) -> None:
        """Name the callee *callee*, the user part of the Request-URI, in our own domain, in the Request-URI and To."""
        uri = f"sip:{callee}@{self.domain}"
        request.set_uri(uri)
        request.rename(named_row("to", uri, None))

    # To a trunk

    def leave(self, copy: Request, number: str, trunk: str) -> None:
        """Name the user of ours who sends *copy* by its *number*, and who it is for at *trunk*; "" is a user without a number."""
        hidden = hides_identity(copy) or not number
        host = self.at(trunk)
        who = f"sip:{number}@{host};user=phone"
        copy.put(named_row("from", NOBODY if hidden else who, copy.from_.tag))
        to = name_of(copy.to)
        if to is not None and (to.host in self.domains or to.host == NO_DOMAIN):
            copy.put(named_row("to", self._callee(copy, to, trunk), copy.to.tag))
        for name in OWN:
            if copy.has(name):
                self._tell(name, copy, host)
        if copy.uri and copy.ruri.host in self.domains:
            copy.set_uri(self._at(copy.ruri, trunk))
        if number:
            copy.append(ASSERTED, f"<{who}>")
        if hidden and "id" not in privacy_of(copy):
            copy.append("privacy", "id")

    def _callee(self, copy: Request, to: SipUri, trunk: str) -> str:
        """Give the name of who is called at *trunk*: the number in To. A user who has forwarded has no other name."""
        is_number = bool(caller_of(copy.to, self.plan))
        if copy.to.tag is None and (copy.has("diversion") or not is_number):
            return self._at(copy.ruri, trunk)
        return self._at(to, trunk) if is_number else f"sip:anonymous@{trunk}"

    def _tell(self, name: str, copy: Message, host: str) -> None:
        """Say in the field *name* who has forwarded or transferred a call, by the number; other names are not shown."""
        entries = copy.items(name)
        copy.remove(name)
        for entry in entries:
            if number := caller_of(NameAddr.parse(entry)):
                copy.append(name, f"<sip:{number}@{host};user=phone>{entry.rpartition('>')[2]}")

    def _at(self, uri: SipUri, trunk: str) -> str:
        return f"sip:{uri.user or 'anonymous'}@{trunk};user=phone"

    def limit_redirection(self, response: Response) -> None:
        """Remove the Contacts of a 3xx response if one of them would have the trunk call a number that not everyone may call."""
        if any(refused_onward(address, self.plan) for address in response.contacts):
            response.remove("contact")

    # Contacts: a trunk reaches the phone of a user by our name alone. A phone reaches a caller of a trunk who is withheld, and
    # the number to which a user has forwarded its call, by no name.

    def hide_contact(self, message: Message, peer: str, tokens: Tokens, sent_by: str) -> None:
        """Replace the Contact in *message* by one at *sent_by*, which leads back to it for *peer* alone."""
        contacts = message.contacts
        if not contacts or contacts[0].uri == "*":
            return
        token = tokens.hide(contacts[0].uri, owner_hash(peer))
        if message.repeated & CONTACT:
            message.remove("contact")
        message.replace("contact", f"<sip:{token}@{sent_by};transport=tls>")

    def open_contact(self, copy: Request, peer: str, tokens: Tokens) -> None:
        """Put the Contact that was hidden from *peer* back into the Request-URI of its request inside a dialog."""
        if copy.ruri.host in self.hosts or is_hidden(copy.uri):
            contact = tokens.reveal(copy.ruri.user or "", owner_hash(peer), copy.call_id)
            if contact is not None:
                copy.set_uri(contact)


def asserted_number(request: Request, plan: DialPlan = INTERNATIONAL) -> str | None:
    """Give the number in P-Asserted-Identity, None if there is none; "" if an identity is no number, or if two differ."""
    if not request.present & P_ASSERTED_IDENTITY:
        return None
    numbers = {caller_of(address, plan) for address in request.asserted_identities}
    return numbers.pop() if len(numbers) == 1 else ""


def number_beside(request: Request) -> str:
    """Give the number that a front end of ours asserts beside the identity of its user, as a tel URI; "" if there is none."""
    if not request.present & P_ASSERTED_IDENTITY:
        return ""
    found = [
        caller_of(address) for address in request.asserted_identities if not address.is_sip and is_tel(address.uri)
    ]
    return found[0] if len(found) == 1 else ""


def caller_of(address: NameAddr, plan: DialPlan = INTERNATIONAL) -> str:
    """Give the whole number of a name, which *plan* completes; "" for any other name."""
    name = name_of(address)
    if name is None:
        return ""
    number = caller_number(name)
    return (number if plan.is_whole(number) else "") or plan.completed(local_digits(name))


def refused_onward(address: NameAddr, plan: DialPlan) -> str:
    """Say why no user may have a trunk call *address*, by a REFER or a 3xx response; "" if each user may.

    Such a call is at our cost. A gateway does not know who asks, and a trunk reads a name in its own way. So a number must be
    whole, and everyone may call it; any other name must begin with a letter. Without classes, everyone may call all numbers.
    """
    if not plan.classes:
        return ""
    name = name_of(address)
    number = plan.whole_number(name) if name is not None else ""
    if number:
        return plan.refusal(number, None)
    is_word = name is not None and name.user is not None and unescaped(name.user)[:1] in LETTERS
    return "" if is_word else f"{shown(address.uri)} is no whole number, and no name"


def is_withheld(address: NameAddr) -> bool:
    """Tell whether a From names no user: an anonymous one, or a URI without a user."""
    return is_anonymous(address) or (address.is_sip and address.sip_uri.user in {None, "anonymous"})
