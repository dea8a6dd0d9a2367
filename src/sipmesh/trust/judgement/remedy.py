"""What to do about a refusal: one or two sentences that an operator can act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.revocation.crl import RevocationSource

if TYPE_CHECKING:
    from sipmesh.trust.judgement.evaluation import Evaluation

Advice = Callable[["Evaluation"], tuple[str, ...]]


def remedies(code: Code, evaluation: Evaluation) -> tuple[str, ...]:
    """Return one or two remedies for a refusal with *code*."""
    return _ADVICE[code](evaluation) if code in _ADVICE else ()


def _says(*lines: str) -> Advice:
    return lambda _case: lines


def _who(evaluation: Evaluation) -> str:
    """Name the peer as well as we can, though it proved nothing."""
    return evaluation.policy.meant_name or next(iter(evaluation.names.usable), "") or "the peer"


def _by_client(evaluation: Evaluation) -> bool:
    """Whether a client judges its server: it has no topology, and its user issues nothing."""
    return evaluation.policy.kind is LinkKind.CLIENT


def _untrusted(evaluation: Evaluation) -> tuple[str, ...]:
    if _by_client(evaluation):
        return (
            f"See that the root given with --ca is that of the CA which issues for {_who(evaluation)}.",
            "If it is, somebody else answers there: see where the name leads.",
        )
    if evaluation.policy.kind is LinkKind.PARTNER:
        return (f"If {_who(evaluation)} is a partner, add the anchor of its CA to its entry in the topology.",)
    return (f"Issue its certificate with our own CA: sipmesh ca issue {_who(evaluation)}.",)


def _not_for_name(evaluation: Evaluation) -> tuple[str, ...]:
    other = evaluation.elsewhere.authority
    signed = f"the CA of {other.name}" if other else "its CA"
    return (
        f"Somebody under {signed} signed a name that is not theirs: treat it as an attack until you know better.",
        f"If {_who(evaluation)} has changed its CA, put the new anchor into its own entry in the topology.",
    )


def _expired(evaluation: Evaluation) -> tuple[str, ...]:
    renew = "Ask the partner to renew it" if evaluation.policy.kind is LinkKind.PARTNER else _reissue(evaluation)
    if _by_client(evaluation):
        renew = "Who runs the server has to renew its certificate"
    return (f"{renew}; if its dates look right, set the clock of {evaluation.policy.here}.",)


def _reissue(evaluation: Evaluation) -> str:
    return f"Issue a new certificate: sipmesh ca issue {_who(evaluation)}"


def _revoked(evaluation: Evaluation) -> tuple[str, ...]:
    if evaluation.policy.kind is LinkKind.PARTNER:
        return ("Its own CA has revoked it: the partner must install a new certificate.",)
    if _by_client(evaluation):
        return ("Its own CA has revoked it: do not log in there before who runs the server has another certificate.",)
    return (f"If the server is still ours: sipmesh ca issue {_who(evaluation)}, and find out who holds the old key.",)


def _no_list(evaluation: Evaluation) -> tuple[str, ...]:
    authority = evaluation.trail.authority
    if authority is not None and authority.source is not RevocationSource.LISTS:
        return (
            f"An answer is being fetched: let it try again, or see that the OCSP responders of {authority.name} answer.",
            "A list of the CA, named under crls, speaks for its certificates as well.",
        )
    if evaluation.policy.kind is LinkKind.PARTNER:
        return (
            "Fetch the partner's current lists, one for each CA of its chain, into the files that its crls: name.",
            "Lists that are named by a URL come by themselves, once that answers: sipmesh ca inventory.",
        )
    if _by_client(evaluation):
        return ("Give this client the current lists, one for each CA of the chain.",)
    return ("Write fresh lists with sipmesh ca crl, and see that authority.crls names one for each CA of the chain.",)


def _not_in_topology(evaluation: Evaluation) -> tuple[str, ...]:
    near = next(iter(evaluation.nearest.values()), "")
    edition = evaluation.policy.edition
    behind = f"This server is behind, and judges anew once it has version {edition.newest}; see: sipmesh status"
    return (
        *((behind,) if edition.is_behind else ()),
        *((f"If {near} is meant: sipmesh ca issue {near}, and install that certificate.",) if near else ()),
        _add(evaluation),
    )


def _add(evaluation: Evaluation) -> str:
    if evaluation.policy.kind is LinkKind.PARTNER:
        return f"If you want to federate: sipmesh partner add {_who(evaluation)}; otherwise there is nothing to do."
    then = "sipmesh topology publish" if evaluation.policy.edition.number else "sipmesh topology check"
    return f"If it is a server of ours, name {_who(evaluation)} in a pool, then: {then}."


def _no_identity(evaluation: Evaluation) -> tuple[str, ...]:
    example = evaluation.policy.meant_name or "sip.example.com"
    return (f"Its certificate needs a subjectAltName with DNS:{example} or URI:sip:{example}; the CN never counts.",)


def _mismatch(evaluation: Evaluation) -> tuple[str, ...]:
    name, address = evaluation.policy.meant_name, evaluation.evidence.remote[0]
    return (
        f"Another server answers at {address}. Check the address, edge: or DNS of {name}.",
        "If that server is the right one, its certificate must carry that name.",
    )


def _role(evaluation: Evaluation) -> tuple[str, ...]:
    who = evaluation.peer.name if evaluation.peer else _who(evaluation)
    return (f"See which links {who} may open: sipmesh topology show; or connect it to the port that is meant for it.",)


def _usage(evaluation: Evaluation) -> tuple[str, ...]:
    side = "serverAuth" if evaluation.opened else "clientAuth"
    needed = f"Its certificate must allow {side}."
    if evaluation.policy.kind is LinkKind.PARTNER and not evaluation.opened:
        return needed, "If its CA no longer issues clientAuth, set client_usage: server-ok in the partner's entry."
    return (needed,)


_ADVICE: dict[Code, Advice] = {
    Code.NOT_TLS: _says("Speak TLS on this port: there is no port for plain SIP."),
    Code.HANDSHAKE_FAILED: _says("Look at the peer's log for its side of the handshake."),
    Code.HANDSHAKE_TIMEOUT: _says("See whether a firewall holds the connection, or the peer is overloaded."),
    Code.TOO_MANY_HANDSHAKES: _says("One address opens too many connections at once; see what runs there."),
    Code.PROTOCOL_TOO_OLD: _says("The peer must speak TLS 1.2 or 1.3 with an AEAD cipher."),
    Code.NO_CERTIFICATE: _says(
        "Give the peer a certificate and let it be sent: server links are mutual TLS.",
        "A phone belongs on the client port.",
    ),
    Code.UNTRUSTED_ISSUER: _untrusted,
    Code.ISSUER_NOT_FOR_THIS_NAME: _not_for_name,
    Code.EXPIRED: _expired,
    Code.NOT_YET_VALID: _expired,
    Code.REVOKED: _revoked,
    Code.REVOCATION_UNKNOWN: _no_list,
    Code.WRONG_USAGE: _usage,
    Code.WEAK_KEY: _says("Its certificate needs a new key: EC P-256, or RSA of at least 2048 bits."),
    Code.NOT_A_LEAF: _says("Give the server a certificate of its own; a CA's certificate belongs to the CA alone."),
    Code.MALFORMED_CERTIFICATE: _says(
        "Its CA must issue by RFC 5280: version 3, AKI and SKI, no unknown critical part.",
        "A chain may have 64 KiB, and 2,500 comparisons of names with name constraints.",
    ),
    Code.NO_SIP_IDENTITY: _no_identity,
    Code.NAME_MISMATCH: _mismatch,
    Code.AMBIGUOUS_IDENTITY: _says("Each server and each partner needs a certificate with its own names only."),
    Code.NOT_IN_TOPOLOGY: _not_in_topology,
    Code.ROLE_NOT_ALLOWED: _role,
    Code.PARTNER_UNKNOWN: _not_in_topology,
    Code.PARTNER_BLOCKED: _says("It is blocked on purpose, under federation.blocked; remove it there to let it in."),
    Code.REFUSED_BY_PEER: _says(
        "The peer refused us: its log tells why.",
        "See that our name is in its topology, and that it trusts our CA and has our lists.",
    ),
}
