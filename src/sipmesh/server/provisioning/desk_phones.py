"""The account of a device, in the form that desk phones read, by the public documents of their makers.

Each file has the root certificate or its address, encrypted media, and ends the automatic provisioning from the address of the
invitation, which is used up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from sipmesh.server.provisioning.client_kind import ClientKind
from sipmesh.server.provisioning.profile import EXPIRES_S
from sipmesh.server.provisioning.softphones import pem_of
from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sipmesh.server.provisioning.profile import Profile

MAC_DIGITS: Final = 12


def yealink(profile: Profile, root_url: str) -> bytes:
    """Write the M7 configuration file ``MAC.cfg`` of Yealink's auto provisioning guide."""
    lines = {
        "account.1.enable": 1,
        "account.1.label": profile.address,
        "account.1.display_name": profile.user,
        "account.1.user_name": profile.user,
        "account.1.auth_name": profile.login,
        "account.1.password": profile.password,
        "account.1.sip_server.1.address": profile.domain,
        "account.1.sip_server.1.transport_type": 2,
        "account.1.sip_server.1.expires": EXPIRES_S,
        "account.1.outbound_proxy_enable": 1,
        **dict(_yealink_proxies(profile)),
        "account.1.srtp_encryption": 2 if profile.must_encrypt else 1,
        "static.security.trust_certificates": 1,
        "static.security.cn_validation": 1,
        "static.security.ca_cert": 2 if profile.has_public else 1,
        "static.trusted_certificates.url": root_url,
        "static.auto_provision.power_on": 0,
        "static.auto_provision.server.url": "",
    }
    return "\n".join(["#!version:1.0.0.1", *(f"{key} = {value}" for key, value in lines.items()), ""]).encode()


def _yealink_proxies(profile: Profile) -> Iterator[tuple[str, object]]:
    for number, (host, port) in enumerate(profile.reach.servers[:2], 1):
        yield f"account.1.outbound_proxy.{number}.address", host
        yield f"account.1.outbound_proxy.{number}.port", port


def snom(profile: Profile, root_url: str) -> bytes:
    """Write the settings in XML of Snom's auto provisioning."""
    host, port = profile.reach.servers[0]
    values = {
        "user_active": "on",
        "user_realname": profile.user,
        "user_name": profile.user,
        "user_pname": profile.login,
        "user_pass": profile.password,
        "user_host": profile.domain,
        "user_outbound": f"sip:{host}:{port};transport=tls",
        "user_expiry": EXPIRES_S,
        "user_srtp": "on",
        "user_savp": "mandatory" if profile.must_encrypt else "optional",
    }
    lines = [f'    <{key} idx="1" perm="">{escape(str(value))}</{key}>' for key, value in values.items()]
    text = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<settings>",
        '  <phone-settings e="2">',
        *lines,
        '    <setting_server perm=""></setting_server>',
        "  </phone-settings>",
        f"  <certificates><certificate url={quoteattr(root_url)} /></certificates>",
        "</settings>\n",
    ]
    return "\n".join(text).encode()


def polycom(profile: Profile, root_url: str) -> bytes:  # noqa: ARG001 - the signature of all formats
    """Write the parameters of UC Software that the master file ``MAC.cfg`` names."""
    (host, port), secure = profile.reach.servers[0], int(profile.must_encrypt)
    values: Mapping[str, object] = {
        "reg.1.address": profile.user,
        "reg.1.displayName": profile.user,
        "reg.1.label": profile.address,
        "reg.1.auth.userId": profile.login,
        "reg.1.auth.password": profile.password,
        "reg.1.server.1.address": profile.domain,
        "reg.1.server.1.transport": "TLS",
        "reg.1.server.1.expires": EXPIRES_S,
        "reg.1.outboundProxy.address": host,
        "reg.1.outboundProxy.port": port,
        "reg.1.outboundProxy.transport": "TLS",
        "reg.1.srtp.enable": 1,
        "reg.1.srtp.offer": 1,
        "reg.1.srtp.require": secure,
        "sec.TLS.customCaCert.1": pem_of(profile),
        "sec.TLS.profileSelection.SIP": "ApplicationProfile1",
        "sec.TLS.profile.1.caCert.application1": 1,
        "sec.TLS.profile.1.caCert.defaultList": int(profile.has_public),
        "device.set": 1,
        "device.prov.serverName.set": 1,
        "device.prov.serverName": "",
    }
    lines = [f"  {key}={quoteattr(str(value))}" for key, value in values.items()]
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', "<polycomConfig", *lines, "/>\n"]).encode()


def polycom_master(file: str) -> bytes:
    """Write the master file ``MAC.cfg`` of UC Software, which names the *file* with the parameters."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<APPLICATION APP_FILE_PATH="sip.ld" CONFIG_FILES={quoteattr(file)} MISC_FILES="" LOG_FILE_DIRECTORY=""'
        ' OVERRIDES_DIRECTORY="" CONTACTS_DIRECTORY=""/>\n'
    ).encode()


def cisco(profile: Profile, root_url: str) -> bytes:
    """Write the profile in XML of Cisco's multiplatform phones."""
    host, port = profile.reach.servers[0]
    values = {
        "Line_Enable_1_": "Yes",
        "Proxy_1_": profile.domain,
        "Use_Outbound_Proxy_1_": "Yes",
        "Outbound_Proxy_1_": f"{host}:{port}",
        "SIP_Transport_1_": "TLS",
        "Register_Expires_1_": EXPIRES_S,
        "Display_Name_1_": profile.user,
        "User_ID_1_": profile.user,
        "Auth_ID_1_": profile.login,
        "Password_1_": profile.password,
        "Secure_Call_Option_1_": "Strict" if profile.must_encrypt else "Optional",
        "Custom_CA_Rule": root_url,
        "Resync_On_Reset": "No",
        "Profile_Rule": "",
    }
    lines = [f'  <{key} ua="na">{escape(str(value))}</{key}>' for key, value in values.items()]
    return "\n".join(["<flat-profile>", *lines, "</flat-profile>\n"]).encode()


DESK_FORMATS: Final[Mapping[ClientKind, Callable[[Profile, str], bytes]]] = {
    ClientKind.YEALINK: yealink,
    ClientKind.SNOM: snom,
    ClientKind.POLYCOM: polycom,
    ClientKind.CISCO: cisco,
}

_SUFFIX: Final = {
    ClientKind.YEALINK: ".cfg",
    ClientKind.SNOM: ".xml",
    ClientKind.POLYCOM: ".cfg",
    ClientKind.CISCO: ".xml",
}
_IN_URL: Final = {ClientKind.SNOM: "{mac}.xml", ClientKind.CISCO: "$MA.xml"}
"""What these phones write in place of their MAC address; the others add the name of the file themselves."""


def is_file_of(kind: ClientKind, mac: str, name: str) -> bool:
    """Tell whether a phone of this *kind* with this *mac* asks for its account by the file *name*."""
    return bool(mac) and ascii_lower(name) == f"{mac}{_SUFFIX[kind]}"


def provisioning_url(kind: ClientKind, base: str) -> str:
    """Return the address that a desk phone of this *kind* gets; *base* is the folder with its file, and ends with ``/``."""
    return f"{base}{_IN_URL.get(kind, '')}"
