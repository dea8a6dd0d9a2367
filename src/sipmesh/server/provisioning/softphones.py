"""The account of a device, in the form that each softphone reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape, quoteattr

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import LocalError
from sipmesh.pki.files import certificates_pem
from sipmesh.server.provisioning.profile import CODECS, EXPIRES_S
from sipmesh.topology.document.parts.files import FILES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sipmesh.pki.issued import IssuedToPerson
    from sipmesh.server.provisioning.profile import Profile

HIGHEST_PRIORITY: Final = 255
"""Of a codec, for PJSIP."""

MOST_FLOWS: Final = 2
"""Servers to which baresip keeps a flow at the same time (RFC 5626)."""


def linphone(profile: Profile) -> bytes:
    """Write the XML of Linphone's remote provisioning: sections and entries of its configuration."""
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<config xmlns="http://www.linphone.org/xsds/lpconfig.xsd">',
        *_sections(_linphone(profile)),
        "</config>\n",
    ]
    return "\n".join(parts).encode()


def linphone_script(profile: Profile) -> bytes:
    """Write a shell script for a device with a certificate: Linphone reads certificate and key from files only.

    It writes them, and the same XML with the names of these files, which Linphone reads at each start.
    """
    if profile.issued is None:
        raise LocalError("the device has no certificate")
    return (
        LINPHONE.read_text()
        .format(
            address=profile.address,
            pem=pem_of(profile),
            chain=_chain(profile.issued),
            key=profile.issued.pem_key().decode(),
            xml=linphone(profile).decode(),
        )
        .encode()
    )


def _chain(issued: IssuedToPerson) -> str:
    return certificates_pem((issued.certificate, *issued.issuers)).decode()


def _linphone(profile: Profile) -> Iterator[tuple[str, Mapping[str, object]]]:
    host, port = profile.reach.servers[0]
    secure, server = int(profile.must_encrypt), f"<sip:{host}:{port};transport=tls>"
    yield (
        "sip",
        {
            "verify_server_certs": 1,
            "verify_server_cn": 1,
            "media_encryption": "srtp",
            "media_encryption_mandatory": secure,
            "default_proxy": 0,
            "guess_hostname": 0,
            **(_LINPHONE_FILES if profile.issued is not None else {}),
        },
    )
    yield (
        "proxy_0",
        {
            "reg_proxy": server,
            "reg_route": server,
            "reg_identity": profile.aor,
            "reg_expires": EXPIRES_S,
            "reg_sendregister": 1,
            "publish": 0,
        },
    )
    if profile.issued is None:
        yield (
            "auth_info_0",
            {
                "username": profile.user,
                "userid": profile.login,
                "passwd": profile.password,
                "realm": profile.domain,
                "domain": profile.domain,
            },
        )
        if profile.pages:  # for contacts, linphone looks for a password by the host that asks
            host = profile.pages.partition(":")[0]
            known = {"username": profile.login, "userid": profile.login, "passwd": profile.password, "domain": host}
            yield "auth_info_1", known
    for number, (name, rate, channels) in enumerate(CODECS):
        yield f"audio_codec_{number}", {"mime": name, "rate": rate, "channels": channels, "enabled": 1}
    files = (
        {"file_transfer_server_url": f"https://{profile.pages}{FILES}"} if profile.pages and profile.has_files else {}
    )
    yield "misc", {"transient_provisioning": 1, **files}


def _sections(found: Iterator[tuple[str, Mapping[str, object]]]) -> Iterator[str]:
    for name, entries in found:
        yield f"  <section name={quoteattr(name)}>"
        for key, value in entries.items():
            yield f'    <entry name={quoteattr(key)} overwrite="true">{escape(str(value))}</entry>'
        yield "  </section>"


def baresip(profile: Profile) -> bytes:
    """Write a shell script that makes the folder of baresip: ``config``, ``accounts`` and ``root.pem``."""
    return (
        BARESIP.read_text()
        .format(
            address=profile.address,
            account=_baresip_account(profile),
            pem=pem_of(profile),
            public=PUBLIC_ROOTS if profile.has_public else "",
            device=_baresip_device(profile.issued) if profile.issued is not None else "",
        )
        .encode()
    )


def _baresip_device(issued: IssuedToPerson) -> str:
    """Return the lines that write the certificate of the device with its key, and name the file."""
    pem = _chain(issued) + issued.pem_key().decode()
    name = 'printf \'sip_certificate %s/device.pem\\n\' "$folder" >> "$folder/config"\n'
    return f"cat > \"$folder/device.pem\" <<'END'\n{pem}END\n{name}"


def _baresip_account(profile: Profile) -> str:
    servers = [f"sip:{host}:{port};transport=tls" for host, port in profile.reach.servers[:MOST_FLOWS]]
    flows = "".join(f'outbound{n}="{server}";' for n, server in enumerate(servers, 1))
    outbound = f"sipnat=outbound;{flows}" if len(servers) > 1 else f'outbound="{servers[0]}";'
    codecs = ",".join(f"{name}/{rate}/{channels}" for name, rate, channels in CODECS)
    media = "srtp-mand" if profile.must_encrypt else "srtp"
    return (
        f"<{profile.aor};transport=tls>;auth_user={profile.login};"
        f"auth_pass={profile.password or NO_PASSWORD};{outbound}"
        f"mediaenc={media};audio_codecs={codecs};regint={EXPIRES_S};dtmfmode=info"
    )


NO_PASSWORD: Final = "none"  # noqa: S105 - baresip asks the terminal for a password if an account has none
_LINPHONE_FILES: Final = {"client_cert_chain": "@folder@/device.pem", "client_cert_key": "@folder@/device.key"}
LINPHONE: Final = Path(__file__).with_name("linphone.sh.template")
PUBLIC_ROOTS: Final = (
    'test ! -r /etc/ssl/certs/ca-certificates.crt || cat /etc/ssl/certs/ca-certificates.crt >> "$folder/root.pem"\n'
)

BARESIP: Final = Path(__file__).with_name("baresip.sh.template")


def pjsip(profile: Profile) -> bytes:
    """Write JSON whose names are those of the classes of PJSUA2: ``AccountConfig``, ``TransportConfig``, codec priorities.

    PJSIP takes the root as octets (``CaBuf``), or an application writes it into a file (``CaListFile``).
    """
    host, port = profile.reach.servers[0]
    route = f"<sip:{host}:{port};transport=tls;lr>"
    use_srtp = 2 if profile.must_encrypt else 1  # PJMEDIA_SRTP_MANDATORY, PJMEDIA_SRTP_OPTIONAL
    tls: dict[str, Any] = {"CaBuf": pem_of(profile), "verifyServer": True}
    if profile.issued is not None:
        tls |= {"certBuf": _chain(profile.issued), "privKeyBuf": profile.issued.pem_key().decode()}
    credentials = {
        "scheme": "digest",
        "realm": profile.domain,
        "username": profile.login,
        "dataType": 0,
        "data": profile.password,
    }
    account = {
        "idUri": profile.aor,
        "regConfig": {"registrarUri": f"sip:{profile.domain};transport=tls", "timeoutSec": EXPIRES_S},
        "sipConfig": {
            "proxies": [route],
            "authCreds": [credentials] if profile.issued is None else [],
        },
        "mediaConfig": {"srtpUse": use_srtp, "srtpSecureSignaling": 1},
    }
    codecs = [
        {"codecId": f"{name}/{rate}/{channels}", "priority": HIGHEST_PRIORITY - n}
        for n, (name, rate, channels) in enumerate(CODECS)
    ]
    return _json({"TransportConfig": {"tlsConfig": tls}, "AccountConfig": account, "codecPriorities": codecs})


def generic(profile: Profile) -> bytes:
    """Write JSON for any other program: what RFC 6080 calls a user agent profile, as values.

    A device with a certificate finds it with its key as ``client_certificate``, and no password.
    """
    by_password = {
        "auth_username": profile.login,
        "password": profile.password,
        "realm": profile.domain,
        "algorithms": ["SHA-256", "MD5"],
    }
    issued = profile.issued
    by_certificate = (
        {"client_certificate": {"chain_pem": _chain(issued), "key_pem": issued.pem_key().decode()}} if issued else {}
    )
    return _json(
        {
            "version": 1,
            "organisation": profile.organisation,
            "device": profile.device,
            "account": {
                "aor": profile.aor,
                **(by_certificate or by_password),
                "expires_s": EXPIRES_S,
            },
            "servers": [
                {"host": host, "port": port, "transport": "tls", "must_have_names": [host, profile.domain]}
                for host, port in profile.reach.servers
            ],
            "web_phones": [f"{url}/phone" for url in profile.reach.web_phones],
            "media": {"policy": str(profile.media), "srtp": "required" if profile.must_encrypt else "offered"},
            "codecs": [{"name": name, "rate": rate, "channels": channels} for name, rate, channels in CODECS],
            "roots_pem": [pem_of(profile)],
        }
    )


def web(profile: Profile) -> bytes:
    """Write the account for the web phone, which knows its server and its certificate by the page."""
    return _json({"address": profile.address, "login": profile.login, "password": profile.password})


def pem_of(profile: Profile) -> str:
    """Return the certificates of our roots in PEM."""
    return "".join(root.public_bytes(Encoding.PEM).decode() for root in profile.roots)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
