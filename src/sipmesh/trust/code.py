"""The verdict codes: the stable names for the result of a link or a message. docs/reference/verdicts.md explains them."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """The result of a link or a message. Log, metrics, console and CLI use these values, so they do not change."""

    ACCEPTED = "accepted"
    NOT_TLS = "not-tls"
    HANDSHAKE_FAILED = "handshake-failed"
    HANDSHAKE_TIMEOUT = "handshake-timeout"
    TOO_MANY_HANDSHAKES = "too-many-handshakes"
    PROTOCOL_TOO_OLD = "protocol-too-old"
    NO_CERTIFICATE = "no-certificate"
    UNTRUSTED_ISSUER = "untrusted-issuer"
    ISSUER_NOT_FOR_THIS_NAME = "issuer-not-for-this-name"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    REVOKED = "revoked"
    REVOCATION_UNKNOWN = "revocation-unknown"
    STAPLE_MISSING = "staple-missing"
    NOT_LOGGED = "not-logged"
    DANE_MISMATCH = "dane-mismatch"
    DANE_UNKNOWN = "dane-unknown"
    DANE_REQUIRED = "dane-required"
    WRONG_USAGE = "wrong-usage"
    WEAK_KEY = "weak-key"
    NOT_A_LEAF = "not-a-leaf"
    MALFORMED_CERTIFICATE = "malformed-certificate"
    NO_SIP_IDENTITY = "no-sip-identity"
    NAME_MISMATCH = "name-mismatch"
    AMBIGUOUS_IDENTITY = "ambiguous-identity"
    NOT_IN_TOPOLOGY = "not-in-topology"
    ROLE_NOT_ALLOWED = "role-not-allowed"
    PARTNER_UNKNOWN = "partner-unknown"
    PARTNER_BLOCKED = "partner-blocked"
    REFUSED_BY_PEER = "refused-by-peer"
    DEVICE_CERTIFICATE = "device-certificate"
    NOT_A_DEVICE = "not-a-device"

    # Results of messages
    FROM_NOT_ALLOWED = "from-not-allowed"
    ASSERTION_NOT_ALLOWED = "assertion-not-allowed"
    NOT_AUTHENTICATED = "not-authenticated"
    NO_ROUTE = "no-route"
    OTHER_HOME = "other-home"
    MEDIA_NOT_ENCRYPTED = "media-not-encrypted"
    MEDIA_UNREADABLE = "media-unreadable"
    MEDIA_NOT_BRIDGED = "media-not-bridged"
    IDENTITY_MISSING = "identity-missing"
    IDENTITY_INVALID = "identity-invalid"
