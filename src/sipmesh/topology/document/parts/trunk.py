"""A telephone trunk: a provider, an SBC or a PBX, whose users are numbers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from sipmesh.topology.document.names import Fqdn, Network, Port, SecretFile, quoted
from sipmesh.topology.document.parts.part import Part
from sipmesh.topology.document.parts.stir import Stir

GlobalNumber = Annotated[str, BeforeValidator(quoted), StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
"""A whole number of E.164, such as +493012345."""
NumberPrefix = Annotated[str, BeforeValidator(quoted), StringConstraints(pattern=r"^\+([1-9][0-9]{0,14})?$")]
"""The first digits of numbers of E.164, such as +4930; + alone stands for all numbers."""


AccountName = Annotated[str, BeforeValidator(quoted), StringConstraints(pattern=r"^[A-Za-z0-9._~+-]{1,128}$")]
"""The user name of an account, as the user part of a SIP URI has it."""


class Keying(StrEnum):
    """How the media of a trunk are keyed. Their encryption ends at the rtpengine of the gateway."""

    SDES = "sdes"
    DTLS = "dtls"
    NONE = "none"


HIGHEST_PRIORITY = 100
HIGHEST_WEIGHT = 100
MOST_PREFIXES = 1000
MOST_NETWORKS = 100
MOST_CHANNELS = 100_000
MOST_CALLS_PER_SECOND = 1000
LONGEST_CALL = 10_080
MOST_MINUTES = 10_000_000


class Account(Part):
    """An account of this organisation at a trunk, at which the gateway logs in by digest."""

    user: AccountName = Field(description="the user name of the account")
    realm: Annotated[str, StringConstraints(pattern=r"^[ !#-\[\]-~]{1,128}$")] = Field(
        description="the only realm whose challenges are answered, as the provider names it"
    )
    secret_file: SecretFile = Field(description="file on each server of the gateway with the password, mode 0600")
    domain: Fqdn | None = Field(
        default=None, description="the domain of the account and of its registrar; by default the name of the trunk"
    )
    algorithm: Literal["SHA-256", "MD5"] = Field(
        default="SHA-256", description="the only algorithm of challenges that are answered: SHA-256 or MD5"
    )
    registers: bool = Field(default=True, description="whether the gateway keeps a registration, so that calls come in")
    expires: Annotated[int, Field(strict=True, ge=60, le=86_400)] = Field(
        default=600, description="seconds for which the gateway registers each time"
    )


class Challenge(Part):
    """How a trunk proves itself that has no certificate: by digest on each link, from its addresses only."""

    user: AccountName = Field(description="the user name by which the trunk logs in")
    secret_file: SecretFile = Field(description="file on each server of the gateway with its password, mode 0600")
    networks: tuple[Network, ...] = Field(
        min_length=1, max_length=MOST_NETWORKS, description="the networks from which the trunk connects"
    )
    algorithm: Literal["SHA-256", "MD5"] = Field(
        default="SHA-256", description="SHA-256; MD5 offers MD5 also, to a trunk that knows MD5 only"
    )


class Trunk(Part):
    """What makes a partner a telephone trunk: its users are numbers, and a gateway has the links to it."""

    gateway: Fqdn = Field(description="the gateway pool that has the links to the trunk")
    asserts: tuple[NumberPrefix, ...] = Field(
        default=(),
        max_length=MOST_PREFIXES,
        description="first digits of the numbers that the trunk may assert as callers, such as +4930; + for all numbers",
    )
    carries: tuple[NumberPrefix, ...] = Field(
        default=(),
        max_length=MOST_PREFIXES,
        description="first digits of the numbers that our users call through the trunk; the longest match is tried first",
    )
    priority: Annotated[int, Field(strict=True, ge=0, le=HIGHEST_PRIORITY)] = Field(
        default=0, description="order among trunks that match a number equally: the lowest is tried first"
    )
    weight: Annotated[int, Field(strict=True, ge=1, le=HIGHEST_WEIGHT)] = Field(
        default=1, description="share of the calls among trunks of the same priority"
    )
    channels: Annotated[int, Field(strict=True, ge=1, le=MOST_CHANNELS)] | None = Field(
        default=None,
        description="calls at the same time, in both directions; by default their number is not bounded here",
    )
    calls_per_second: Annotated[int, Field(strict=True, ge=1, le=MOST_CALLS_PER_SECOND)] | None = Field(
        default=None, description="new calls a second in each direction; by default their number is not bounded here"
    )
    longest_call: Annotated[int, Field(strict=True, ge=1, le=LONGEST_CALL)] = Field(
        default=240, description="minutes after which the gateway ends a call with the trunk"
    )
    host: Fqdn | None = Field(
        default=None,
        description="our name at the trunk, which our certificate for it has; by default that of the gateway pool",
    )
    port: Port | None = Field(
        default=None,
        description="a port of its own on each server of the gateway: only this trunk may connect to it, and to no other",
    )
    challenge: Challenge | None = Field(
        default=None,
        description="the trunk has no certificate, and logs in by digest at `port`; by default it presents a certificate",
    )
    login: Account | None = Field(
        default=None,
        description="our account at the trunk, if it challenges us; by default certificates say who we are",
    )
    ping: Annotated[int, Field(strict=True, ge=5, le=3600)] | None = Field(
        default=None,
        description="seconds between two OPTIONS to the trunk, which say whether it answers; by default none",
    )
    minutes: Annotated[int, Field(strict=True, ge=1, le=MOST_MINUTES)] | None = Field(
        default=None, description="minutes of our users' calls through the trunk in 24 hours; by default not bounded"
    )
    keying: Keying | None = Field(
        default=None,
        description="its calls pass the rtpengine of the gateway, which gives the trunk keys by sdes or dtls, or none: RTP in "
        "the clear; by default the trunk and the phones agree on keys themselves",
    )
    stir: Stir | None = Field(
        default=None, description="how the signatures of its calls are verified; by default they are not"
    )
    emergency: bool = Field(default=False, description="whether it takes calls to the emergency numbers in `numbers`")
    main_number: GlobalNumber | None = Field(
        default=None,
        description="the caller's number for users without a number; by default such users cannot call through the trunk",
    )
