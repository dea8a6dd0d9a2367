"""The files of desk phones, as their makers document them. No such phone was at hand."""

from __future__ import annotations

from dataclasses import replace
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring

from sipmesh.server.provisioning.client_kind import DESK_PHONES, ClientKind
from sipmesh.server.provisioning.desk_phones import (
    DESK_FORMATS,
    is_file_of,
    polycom_master,
    provisioning_url,
)
from sipmesh.server.provisioning.profile import Profile
from sipmesh.topology.document.media_policy import MediaPolicy

ROOT = "https://join.example.test/trust/root.pem"


def parsed(kind: ClientKind, profile: Profile) -> Element:
    found: Element = fromstring(DESK_FORMATS[kind](profile, ROOT))
    return found


def test_yealink_registers_by_tls_with_srtp_and_forgets_the_address_of_the_invitation(profile: Profile) -> None:
    lines = DESK_FORMATS[ClientKind.YEALINK](profile, ROOT).decode().splitlines()
    assert lines[0] == "#!version:1.0.0.1"
    found = dict(line.split(" = ", 1) for line in lines[1:])
    assert found["account.1.auth_name"] == "alice+desk"
    assert found["account.1.sip_server.1.transport_type"] == "2"
    assert found["account.1.outbound_proxy.2.address"] == "fe2.example.test"
    assert found["account.1.srtp_encryption"] == "2"
    assert (found["static.auto_provision.server.url"], found["static.trusted_certificates.url"]) == ("", ROOT)


def test_snom_polycom_and_cisco_are_well_formed_and_have_the_login(profile: Profile) -> None:
    snom = parsed(ClientKind.SNOM, profile)
    assert snom.findtext("phone-settings/user_pname") == "alice+desk"
    assert snom.findtext("phone-settings/user_savp") == "mandatory"
    polycom = parsed(ClientKind.POLYCOM, profile).attrib
    assert (polycom["reg.1.auth.userId"], polycom["reg.1.srtp.require"]) == ("alice+desk", "1")
    cisco = parsed(ClientKind.CISCO, profile)
    assert (cisco.findtext("Auth_ID_1_"), cisco.findtext("Secure_Call_Option_1_")) == ("alice+desk", "Strict")
    assert cisco.findtext("Custom_CA_Rule") == ROOT


def test_media_need_no_encryption_where_the_policy_asks_for_none(profile: Profile) -> None:
    free = replace(profile, media=MediaPolicy.ANY)
    assert b"srtp_encryption = 1" in DESK_FORMATS[ClientKind.YEALINK](free, ROOT)
    assert parsed(ClientKind.SNOM, free).findtext("phone-settings/user_savp") == "optional"


@pytest.mark.parametrize("kind", sorted(DESK_PHONES))
def test_file_is_that_of_one_mac_address_in_either_case(kind: ClientKind) -> None:
    suffix = ".cfg" if kind in (ClientKind.YEALINK, ClientKind.POLYCOM) else ".xml"
    assert is_file_of(kind, "001565aabbcc", f"001565AABBCC{suffix}")
    assert not is_file_of(kind, "001565aabbcc", f"001565aabbcd{suffix}")
    assert not is_file_of(kind, "", suffix)
    assert provisioning_url(kind, "https://x/d/t/").startswith("https://x/d/t/")


def test_master_file_of_polycom_names_the_second_file() -> None:
    assert fromstring(polycom_master("https://x/d/t/account.cfg")).get("CONFIG_FILES") == "https://x/d/t/account.cfg"
