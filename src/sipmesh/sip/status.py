"""The status codes of SIP with their reason phrases (RFC 3261 section 21 and IANA's registry)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Status(IntEnum):
    """A status code. Its name is its reason phrase, except those of `_SPELLED`."""

    TRYING = 100
    RINGING = 180
    CALL_IS_BEING_FORWARDED = 181
    QUEUED = 182
    SESSION_PROGRESS = 183
    OK = 200
    ACCEPTED = 202
    NO_NOTIFICATION = 204
    MULTIPLE_CHOICES = 300
    MOVED_PERMANENTLY = 301
    MOVED_TEMPORARILY = 302
    USE_PROXY = 305
    ALTERNATIVE_SERVICE = 380
    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    PAYMENT_REQUIRED = 402
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    NOT_ACCEPTABLE = 406
    PROXY_AUTHENTICATION_REQUIRED = 407
    REQUEST_TIMEOUT = 408
    GONE = 410
    CONDITIONAL_REQUEST_FAILED = 412
    REQUEST_ENTITY_TOO_LARGE = 413
    REQUEST_URI_TOO_LONG = 414
    UNSUPPORTED_MEDIA_TYPE = 415
    UNSUPPORTED_URI_SCHEME = 416
    BAD_EXTENSION = 420
    EXTENSION_REQUIRED = 421
    SESSION_INTERVAL_TOO_SMALL = 422
    INTERVAL_TOO_BRIEF = 423
    USE_IDENTITY_HEADER = 428
    PROVIDE_REFERRER_IDENTITY = 429
    FLOW_FAILED = 430
    ANONYMITY_DISALLOWED = 433
    BAD_IDENTITY_INFO = 436
    UNSUPPORTED_CREDENTIAL = 437
    INVALID_IDENTITY_HEADER = 438
    FIRST_HOP_LACKS_OUTBOUND_SUPPORT = 439
    MAX_BREADTH_EXCEEDED = 440
    TEMPORARILY_UNAVAILABLE = 480
    CALL_OR_TRANSACTION_DOES_NOT_EXIST = 481
    LOOP_DETECTED = 482
    TOO_MANY_HOPS = 483
    ADDRESS_INCOMPLETE = 484
    AMBIGUOUS = 485
    BUSY_HERE = 486
    REQUEST_TERMINATED = 487
    NOT_ACCEPTABLE_HERE = 488
    BAD_EVENT = 489
    REQUEST_PENDING = 491
    UNDECIPHERABLE = 493
    SECURITY_AGREEMENT_REQUIRED = 494
    SERVER_INTERNAL_ERROR = 500
    NOT_IMPLEMENTED = 501
    BAD_GATEWAY = 502
    SERVICE_UNAVAILABLE = 503
    SERVER_TIMEOUT = 504
    VERSION_NOT_SUPPORTED = 505
    MESSAGE_TOO_LARGE = 513
    BUSY_EVERYWHERE = 600
    DECLINE = 603
    DOES_NOT_EXIST_ANYWHERE = 604
    NOT_ACCEPTABLE_ANYWHERE = 606


_SPELLED: Final = {
    Status.OK: "OK",
    Status.REQUEST_URI_TOO_LONG: "Request-URI Too Long",
    Status.UNSUPPORTED_URI_SCHEME: "Unsupported URI Scheme",
    Status.MAX_BREADTH_EXCEEDED: "Max-Breadth Exceeded",
    Status.CALL_OR_TRANSACTION_DOES_NOT_EXIST: "Call/Transaction Does Not Exist",
    Status.SERVER_TIMEOUT: "Server Time-out",
    Status.NOT_ACCEPTABLE_ANYWHERE: "Not Acceptable",
}


def _phrase(status: Status) -> str:
    return status.name.replace("_", " ").title()


REASONS: Final[dict[int, str]] = {int(status): _SPELLED.get(status) or _phrase(status) for status in Status}
"""The reason phrase of a response that gives no other one."""

FIRST_FINAL: Final = 200
FIRST_REDIRECTION: Final = 300
FIRST_CLIENT_ERROR: Final = 400
FIRST_SERVER_FAILURE: Final = 500
FIRST_GLOBAL_FAILURE: Final = 600
"""The borders of the classes of RFC 3261 section 7.2: provisional, success, failure, and failure at every place."""

# These are compared for each message. Compiled, a comparison with an attribute of `Status` takes 17 ns, with a constant 2 ns.
TRYING: Final[int] = int(Status.TRYING)
OK: Final[int] = int(Status.OK)
UNAUTHORIZED: Final[int] = int(Status.UNAUTHORIZED)
FLOW_FAILED: Final[int] = int(Status.FLOW_FAILED)
SERVICE_UNAVAILABLE: Final[int] = int(Status.SERVICE_UNAVAILABLE)
