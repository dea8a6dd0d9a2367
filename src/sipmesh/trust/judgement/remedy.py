"""The remedies for a refusal: one or two sentences that tell the operator what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.revocation.revocation_source import RevocationSource
from sipmesh.trust.role import ClientAuth

if TYPE_CHECKING:
    from sipmesh.trust.judgement.evaluation import Evaluation

Advice = Callable[["Evaluation"], tuple[str, ...]]


def remedies(code: Code, evaluation: Evaluation) -> tuple[str, ...]:
    """Return one or two remedies for a refusal with *code*."""
    if evaluation.policy.client_auth is not ClientAuth.PASSWORD and code in _OF_DEVICES:
        return _OF_DEVICES[code](evaluation)
    return _ADVICE[code](evaluation) if code in _ADVICE else ()


def _says(*lines: str) -> Advice:
    return lambda _case: lines


def _who(evaluation: Evaluation) -> str:
    """Give a name for the peer. It is not proved."""
    return evaluation.policy.meant_name or next(iter(evaluation.names.usable), "") or "the peer"


def _by_client(evaluation: Evaluation) -> bool:
    """Tell whether a client judges its server. A client has no topology, and its user issues no certificates."""
    return evaluation.policy.kind is LinkKind.CLIENT


def _untrusted(evaluation: Evaluation) -> tuple[str, ...]:
    if _by_client(evaluation):
        return (
            f"Check that the root given with --ca is the root of the CA that issues for {_who(evaluation)}.",
            "If it is, another host answers at this address: check the DNS entry of the name.",
        )
    who, address = _who(evaluation), evaluation.evidence.remote[0]
    if evaluation.policy.kind is LinkKind.PARTNER:
        return _new_root(evaluation.peer.name) if evaluation.peer else (_add(evaluation),)
    if not evaluation.opened and not evaluation.named:
        return (
            f"This is no server of ours: find out which program at {address} connects to this port, or close the port to it.",
            "It stays refused. Do not issue a certificate for it.",
        )
    return (
        f"Find out what runs at {address}: it says that it is {who}, and our CA has not issued its certificate.",
        f"If it is our server, on its machine: sipmesh ca issue {who}.",
    )


def _new_root(partner: str) -> tuple[str, ...]:
    """Return what helps if the root of a partner that we have is another one than that of its entry."""
    return (
        f"If the partner says that it has a new root: sipmesh partner change {partner} anchors=[FILE].",
        f"If not, this is not {partner}: it stays refused. Check the `edge` and the `address` of its entry.",
    )


def _not_for_name(evaluation: Evaluation) -> tuple[str, ...]:
    other = evaluation.elsewhere.authority
    signed = f"the CA of {other.name}" if other else "its CA"
    return (
        f"Treat this as an attack: {signed} has issued a certificate for a name that it may not issue for.",
        f"If {_who(evaluation)} has changed its CA, add the new root to `anchors` of its entry in the topology.",
    )


def _expired(evaluation: Evaluation) -> tuple[str, ...]:
    here = evaluation.policy.here
    if evaluation.policy.kind is LinkKind.PARTNER:
        renew = "ask the partner to renew its certificate"
    elif _by_client(evaluation):
        renew = "ask the operator of the server to renew its certificate"
    else:
        renew = f"issue a new certificate: {_issue(evaluation)}"
    return f"If the clock of {here} is right, {renew}.", f"If not, set the clock of {here}, for example by NTP."


def _not_yet_valid(evaluation: Evaluation) -> tuple[str, ...]:
    here = evaluation.policy.here
    if evaluation.policy.kind is LinkKind.PARTNER:
        signed_ahead = "ask the partner: the clock of its CA was ahead when it signed"
    elif _by_client(evaluation):
        signed_ahead = "ask the operator of the server: the clock of its CA was ahead when it signed"
    else:
        signed_ahead = f"set that of the host with the CA, which was ahead, and then: {_issue(evaluation)}"
    return f"Set the clock of {here}, for example by NTP.", f"If it is right, {signed_ahead}."


def _for_devices(evaluation: Evaluation) -> tuple[str, ...]:
    if _by_client(evaluation):
        return (
            f"Another host answers at this address, or {_who(evaluation)} has a wrong certificate: ask its operator.",
        )
    return (
        "A certificate for a device counts on client ports only: connect the device to the client port of its server.",
        f"If {_who(evaluation)} is a server of ours, on its machine: {_issue(evaluation)}.",
    )


def _issue(evaluation: Evaluation) -> str:
    return f"sipmesh ca issue {_who(evaluation)}"


def _revoked(evaluation: Evaluation) -> tuple[str, ...]:
    if evaluation.policy.kind is LinkKind.PARTNER:
        return ("The partner's CA has revoked the certificate: the partner must install a new certificate.",)
    if _by_client(evaluation):
        return (
            "Its CA has revoked the certificate: do not log in until the operator of the server has a new certificate.",
        )
    return (f"If the server is still in use: {_issue(evaluation)}. Find out who has a copy of the old key.",)


def _no_list(evaluation: Evaluation) -> tuple[str, ...]:
    authority = evaluation.trail.authority
    if authority is not None and authority.source is not RevocationSource.LISTS:
        return (
            f"The server is fetching an OCSP response. Try again, or check that the OCSP responders of {authority.name} answer.",
            "A CRL of this CA under `crls` is also accepted.",
        )
    if evaluation.policy.kind is LinkKind.PARTNER:
        return (
            "Fetch the partner's current CRLs, for each CA of its chain, into the files under `crls`.",
            "Servers fetch CRLs with a URL, and those that certificates name from `crl_hosts`: sipmesh ca inventory.",
        )
    if _by_client(evaluation):
        return ("Give this client the current CRL of each CA of the chain.",)
    return ("Sign new CRLs: sipmesh ca crl. Check that `authority.crls` has one CRL for each CA of the chain.",)


def _not_in_topology(evaluation: Evaluation) -> tuple[str, ...]:
    near = next(iter(evaluation.nearest.values()), "")
    edition = evaluation.policy.edition
    behind = f"This server does not have version {edition.newest} yet, and decides again when it has. To see why: sipmesh status."
    return (
        *((behind,) if edition.is_behind else ()),
        *((f"If the server is {near}: sipmesh ca issue {near}, and install that certificate.",) if near else ()),
        _add(evaluation),
    )


def _add(evaluation: Evaluation) -> str:
    if evaluation.policy.kind is LinkKind.PARTNER:
        return f"To federate with it: sipmesh partner add {_who(evaluation)}. Otherwise there is nothing to do."
    then = "sipmesh topology publish" if evaluation.policy.edition.number else "sipmesh topology check"
    return f"If it is a server of ours, add {_who(evaluation)} to a pool of the topology, then: {then}."


def _no_identity(evaluation: Evaluation) -> tuple[str, ...]:
    example = evaluation.policy.meant_name or "sip.example.com"
    return (f"Its certificate needs a subjectAltName with DNS:{example} or URI:sip:{example}. The CN is ignored.",)


def _mismatch(evaluation: Evaluation) -> tuple[str, ...]:
    name, address = evaluation.policy.meant_name, evaluation.evidence.remote[0]
    return (
        f"Another server answers at {address}. Check the `address`, the `edge` and the DNS entry of {name}.",
        "If that server is the right server, its certificate must contain that name.",
    )


def _role(evaluation: Evaluation) -> tuple[str, ...]:
    who = evaluation.peer.name if evaluation.peer else _who(evaluation)
    return (f"To see which links {who} may open: sipmesh topology show. Or connect it to the port for its role.",)


def _usage(evaluation: Evaluation) -> tuple[str, ...]:
    side = "serverAuth" if evaluation.opened else "clientAuth"
    needed = f"Its certificate must allow {side}."
    if evaluation.policy.kind is LinkKind.PARTNER and not evaluation.opened:
        return needed, "If its CA no longer issues clientAuth, set `client_usage: server-ok` in the partner's entry."
    return (needed,)


def _blocked(evaluation: Evaluation) -> tuple[str, ...]:
    name = next(iter(evaluation.blocks.values()), _who(evaluation))
    return (
        f"We have blocked it. To accept it again: sipmesh partner unblock {name}. Otherwise there is nothing to do.",
    )


_ALERTS = {
    "unknown ca": "Its alert says: it has no root of ours in use. It has blocked us, or lacks our root in its `anchors` of us.",
    "certificate expired": "Its alert says: a certificate of our chain has expired. Compare the clocks: sipmesh ca status.",
    "certificate revoked": "Its alert says: a certificate of our chain is revoked. Compare the CRLs: sipmesh ca status.",
    "unsupported certificate": "Its alert says: our certificate has not the usage that it wants, such as clientAuth.",
    "certificate required": "Its alert says: we have shown no certificate. Connect as a server.",
    "protocol version": "Its alert says: it does not speak TLS 1.2 or 1.3.",
}
"""What the alerts of a peer mean that refuses our certificate (RFC 8446 section 6.2), without the word `alert`."""


def _refused_by_peer(evaluation: Evaluation) -> tuple[str, ...]:
    """Explain the alert; most peers that miss our name in their topology close without one, as we do."""
    failure = evaluation.evidence.failure
    _, _, alert = (failure.text if failure is not None else "").rpartition("alert '")
    meant = _ALERTS.get(
        alert.rstrip("'"), "Check that its topology has our name, and that it has our root and our CRLs."
    )
    return "The peer refused this server. Read the log of the peer: it has the SHA-256 of our certificate.", meant


_ADVICE: dict[Code, Advice] = {
    Code.NOT_TLS: _says("Speak TLS on this port: there is no port for plain SIP."),
    Code.HANDSHAKE_FAILED: _says("Read the log of the peer: it has the peer's side of the handshake."),
    Code.HANDSHAKE_TIMEOUT: _says(
        "Check whether a firewall blocks the connection, and whether the peer is overloaded."
    ),
    Code.TOO_MANY_HANDSHAKES: _says("An address opens too many connections at once. Check which program runs there."),
    Code.PROTOCOL_TOO_OLD: _says("The peer must speak TLS 1.2 or 1.3 with an AEAD cipher."),
    Code.NO_CERTIFICATE: _says(
        "Configure the peer to present its certificate: server links are mutual TLS.",
        "A phone must connect to the client port.",
    ),
    Code.UNTRUSTED_ISSUER: _untrusted,
    Code.ISSUER_NOT_FOR_THIS_NAME: _not_for_name,
    Code.EXPIRED: _expired,
    Code.NOT_YET_VALID: _not_yet_valid,
    Code.REVOKED: _revoked,
    Code.REVOCATION_UNKNOWN: _no_list,
    Code.DANE_MISMATCH: _says(
        "Ask the partner: either its TLSA records are old, or this certificate is not its own.",
        "Until its records are right, `dane: off` leaves the check out.",
    ),
    Code.DANE_REQUIRED: _says(
        "Ask the partner for a TLSA record of usage 2 or 3 in a zone that is signed up to the trust anchor.",
        "Or name its root in `anchors` and its CRLs in `crls`, and write `dane: check` or `dane: off`.",
    ),
    Code.DANE_UNKNOWN: _says(
        "Check that the DNS servers of `dns.servers` answer, and that the trust anchors are right: those of `dns.trust_anchors`,"
        " or else of the validating resolver.",
        "If the answer is bogus, the zone of the partner is signed wrongly, or an attacker has changed the answer.",
    ),
    Code.NOT_LOGGED: _says(
        "Ask the partner whether this certificate is its own: a public CA logs what it issues. If it is, look whether"
        " `federation.ct_logs` has the logs of its SCTs.",
        "If its CA logs nothing, write `ct: off` for this partner.",
    ),
    Code.STAPLE_MISSING: _says(
        "Its server must staple a current OCSP response for this certificate (RFC 6066 8), as the certificate demands.",
        "Or its CA issues the certificate without the TLS feature status_request (RFC 7633).",
    ),
    Code.WRONG_USAGE: _usage,
    Code.WEAK_KEY: _says(
        "Its certificate needs a new key: EC P-256, or RSA of 2048 to 8192 bits with the exponent 65537."
    ),
    Code.NOT_A_LEAF: _says("Give the server its own certificate. Only a CA may use a CA certificate."),
    Code.MALFORMED_CERTIFICATE: _says(
        "Its CA must follow RFC 5280: version 3, AKI and SKI, no unknown critical extension.",
        "A chain may have at most 32 KiB, 1,024 names, and 2,500 comparisons of names with name constraints.",
    ),
    Code.NO_SIP_IDENTITY: _no_identity,
    Code.NAME_MISMATCH: _mismatch,
    Code.AMBIGUOUS_IDENTITY: _says("Each server and each partner needs a certificate with its own names only."),
    Code.NOT_IN_TOPOLOGY: _not_in_topology,
    Code.ROLE_NOT_ALLOWED: _role,
    Code.PARTNER_UNKNOWN: _not_in_topology,
    Code.PARTNER_BLOCKED: _blocked,
    Code.REFUSED_BY_PEER: _refused_by_peer,
    Code.DEVICE_CERTIFICATE: _for_devices,
    Code.NOT_A_DEVICE: _says("Connect to the client port again, without a certificate: this port asks for none."),
}


def _new_device(evaluation: Evaluation) -> tuple[str, ...]:
    user, device = ("USER", "NAME") if evaluation.device is None else (_plain(evaluation), evaluation.device.device)
    return (f"Issue a certificate for the device: sipmesh ca issue --user {user} --device {device}.",)


def _plain(evaluation: Evaluation) -> str:
    return evaluation.device.user.removeprefix("sip:") if evaluation.device is not None else ""


_OF_DEVICES: Mapping[Code, Advice] = {
    Code.NO_CERTIFICATE: _new_device,
    Code.NOT_A_DEVICE: _new_device,
    Code.UNTRUSTED_ISSUER: _new_device,
    Code.EXPIRED: _new_device,
    Code.WRONG_USAGE: _new_device,
    Code.NOT_YET_VALID: _says("Set the clock of this server, or that of the host with the CA."),
    Code.REVOKED: _says(
        "If the device is in the hands of its user, issue a new certificate. Otherwise find out who has it."
    ),
    Code.REVOCATION_UNKNOWN: _says(
        "Name the CRL of the device issuing CA in `authority.crls` of the topology, and publish: sipmesh ca devices."
    ),
    Code.ISSUER_NOT_FOR_THIS_NAME: _says(
        "If the user is in a new SIP domain, renew the certificate of the CA: sipmesh ca devices.",
        "Otherwise treat this as an attack: a stranger has the key of the device issuing CA.",
    ),
}
"""The remedies for the certificate of a device, where they differ from those for a server."""
