"""Invitations and devices of users by name, each change with its line in the audit log; no line has a secret."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.verifier import user_of
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.users.device import BY_HAND
from sipmesh.storage.users.device_rows import must_be_a_device_name
from sipmesh.storage.users.invitation import PORTAL_LINK, Invitation
from sipmesh.topology.home_pools import home_by_default, servers_with_certificates
from sipmesh.topology.portal_ways import LINK, ways_of
from sipmesh.topology.user_address import full_address
from sipmesh.trust.formatting import tell_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from sipmesh.storage.audit_act import Note
    from sipmesh.storage.users.device import Device
    from sipmesh.storage.users.invitations import Certify, Invitations, Taken
    from sipmesh.topology.document.model import Topology

_PLAIN_USER: Final = re.compile("[A-Za-z0-9._~+-]+")
"""A user whose name needs no quotes in any file of a phone."""

_MAC: Final = re.compile("[0-9a-f]{12}")


class DeviceAccounts:
    """The *invitations* with the names of *topology*; *note* and *must_lead* are those of `Accounts`.

    Each method raises `OperatorError` as the method of `Invitations` does.
    """

    __slots__ = ("_invitations", "_must_lead", "_note", "_topology")

    def __init__(
        self, invitations: Invitations, topology: Topology, note: Note, must_lead: Callable[[], object]
    ) -> None:
        self._invitations, self._topology, self._note, self._must_lead = invitations, topology, note, must_lead

    def invite(
        self,
        user: str,
        at: datetime,
        lifetime: timedelta,
        *,
        device: str = "",
        client: str = "",
        mac: str = "",
        network: str = "",
        remote: bool = False,
        certificate: bool = False,
    ) -> tuple[Invitation, str]:
        """Invite one device of a user; returns the invitation with its token.

        With the *client* `PORTAL_LINK`, the link signs the user in to the portal, and sets up no device.
        Raises `OperatorError` for a user whose name needs quotes in a file of a phone, for a wrong *device*, *mac* or
        *network*, for a *certificate* that the device could not use, and for a link to a portal that takes none.
        """
        self._must_lead()
        aor = full_address(user, self._topology)
        if client == PORTAL_LINK:
            self._must_be_taken_by_the_portal(any((device, mac, remote, certificate)))
        elif not _PLAIN_USER.fullmatch(user_of(aor)):
            raise OperatorError(f"{aor} has characters that the files of phones cannot have; set the phone up by hand")
        if certificate:
            self._must_be_usable(aor, client, is_desk=bool(mac), remote=remote)
        wanted = Invitation(
            "",
            aor,
            device and must_be_a_device_name(device),
            client,
            mac and _mac(mac),
            network and _network(network),
            at,
            at + lifetime,
            remote,
            certificate=certificate,
        )
        made, token = self._invitations.invite(wanted)
        self._note(AuditAct.INVITATION, user=_bare(made.aor), made=made.id, expires=tell_time(made.expires))
        return made, token

    def _must_be_taken_by_the_portal(self, has_device: bool) -> None:  # noqa: FBT001 - of `invite`
        """Raise `OperatorError` for a portal that takes no links, and for a link that would also set up a device."""
        if LINK not in ways_of(self._topology):
            remedy = "add `portal: {links: true}` to `invitations`, and publish"
            raise OperatorError(f"the portal takes no links of operators; {remedy}")
        if has_device:
            raise OperatorError("a link to the portal sets up no device: name no device, MAC address or certificate")

    def _must_be_usable(self, aor: str, client: str, *, is_desk: bool, remote: bool) -> None:
        """Raise `OperatorError` unless a softphone can log in with a certificate, at a front end that asks for it."""
        if remote or is_desk or client == "web":
            raise OperatorError(
                "a certificate is for softphones at their home pool; invite this device without --certificate"
            )
        home = self._invitations.home_of(aor) or home_by_default(self._topology)
        if not servers_with_certificates(self._topology, home):
            remedy = f"set client_auth to either for its servers, and publish: sipmesh topology change pool {home}"
            raise OperatorError(f"no front end of {home} takes certificates of devices; {remedy}")

    def take(self, secret: str, client: str, address: str, at: datetime, certify: Certify | None = None) -> Taken:
        """Let the device at *address* take the invitation of *secret*; *certify* is that of `Invitations.take`."""
        self._must_lead()
        taken = self._invitations.take(secret, client, address, at, certify)
        device = taken.device
        about = {"device": device.name, "client": client, "address": address, "invitation": device.invitation}
        self._note(AuditAct.DEVICE, user=_bare(device.aor), added=device.name, **about)
        return taken

    def give_password(self, user: str, device: str, at: datetime, address: str = "") -> Taken:
        """Give a new device of a user a password, for a person to type; *address* is that of the person, "" for an operator."""
        self._must_lead()
        aor = full_address(user, self._topology)
        taken = self._invitations.give_password(aor, must_be_a_device_name(device), BY_HAND, address, at)
        about = {"device": device, "client": BY_HAND} | ({"address": address} if address else {})
        self._note(AuditAct.DEVICE, user=_bare(taken.device.aor), added=device, **about)
        return taken

    def exchange(self, token: str, client: str, address: str, at: datetime) -> tuple[Invitation, str]:
        """Exchange the token of an invitation for a ticket."""
        self._must_lead()
        found, ticket = self._invitations.exchange(token, client, address, at)
        self._note(AuditAct.INVITATION, user=_bare(found.aor), opened=found.id, client=client, address=address)
        return found, ticket

    def sign_in(self, token: str, address: str, at: datetime) -> Invitation:
        """Use up the token of a link to the portal, and return its invitation; raises `NotOpenError`."""
        self._must_lead()
        found = self._invitations.sign_in(token, address, at)
        self._note(AuditAct.INVITATION, user=_bare(found.aor), opened=found.id, client=PORTAL_LINK, address=address)
        return found

    def revoke(self, number: str) -> Invitation:
        """Revoke an open invitation."""
        self._must_lead()
        revoked = self._invitations.revoke(number)
        self._note(AuditAct.INVITATION, user=_bare(revoked.aor), revoked=revoked.id)
        return revoked

    def revoke_device(self, user: str, device: str) -> str:
        """Revoke the password of a device; returns the full address of the user."""
        self._must_lead()
        aor = full_address(user, self._topology)
        self._invitations.revoke_device(aor, device, lambda: self._note(AuditAct.DEVICE, user=aor, revoked=device))
        return aor

    def devices(self, user: str) -> Sequence[Device]:
        """Return the devices of a user that have a password of their own."""
        return self._invitations.devices(full_address(user, self._topology))

    def open_ones(self, user: str, at: datetime) -> Sequence[Invitation]:
        """Return the open invitations of a user, "" for those of all users."""
        return self._invitations.open_ones(user and full_address(user, self._topology), at)


def _bare(aor: str) -> str:
    """Return the address as the audit log has it: without its scheme."""
    return aor.removeprefix("sip:")


def _mac(text: str) -> str:
    mac = re.sub("[:.-]", "", text).lower()
    if not _MAC.fullmatch(mac):
        raise OperatorError(f"{text!r} is no MAC address; write it as 00:15:65:aa:bb:cc")
    return mac


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as wrong:
        raise OperatorError(f"{text!r} is no network ({wrong}); write it as 10.0.0.0/8") from None
