"""The files of softphones: each has the account, the servers, the root and the media policy, and nothing is executed."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from defusedxml.ElementTree import fromstring

from sipmesh.server.provisioning import softphones
from sipmesh.server.provisioning.profile import Profile, Reach
from sipmesh.topology.document.media_policy import MediaPolicy

XML = "{http://www.linphone.org/xsds/lpconfig.xsd}"


def entries(profile: Profile) -> dict[tuple[str | None, str | None], str | None]:
    """What linphone reads: the value of each entry of each section."""
    document = fromstring(softphones.linphone(profile))
    return {
        (section.get("name"), entry.get("name")): entry.text
        for section in document.iter(f"{XML}section")
        for entry in section.iter(f"{XML}entry")
    }


def test_linphone_reads_account_server_and_policy(profile: Profile) -> None:
    found = entries(profile)
    assert found["auth_info_0", "userid"] == "alice+desk"
    assert found["auth_info_0", "passwd"] == "secretsecret"
    assert found["proxy_0", "reg_identity"] == "sip:alice@example.test"
    assert found["proxy_0", "reg_proxy"] == "<sip:fe1.example.test:5061;transport=tls>"
    assert (found["sip", "media_encryption_mandatory"], found["sip", "verify_server_cn"]) == ("1", "1")


def test_linphone_knows_the_host_of_its_contacts_and_where_files_go(profile: Profile) -> None:
    """It looks for the password of contacts by their host, and for that of files by the SIP domain."""
    found = entries(replace(profile, pages="m.example.test:8445", has_files=True))
    keys = ("username", "userid", "passwd", "domain")
    assert [found["auth_info_1", key] for key in keys] == ["alice+desk", "alice+desk", "secretsecret", "m.example.test"]
    assert found["misc", "file_transfer_server_url"] == "https://m.example.test:8445/files"
    without = entries(replace(profile, pages="m.example.test"))
    assert ("misc", "file_transfer_server_url") not in without
    assert ("auth_info_1", "passwd") not in entries(replace(profile, has_files=True))


@pytest.mark.parametrize(("servers", "outbound"), [(2, "sipnat=outbound;outbound1="), (1, 'outbound="sip:fe1')])
def test_baresip_script_makes_a_folder_for_its_owner_alone(
    profile: Profile, tmp_path: Path, servers: int, outbound: str
) -> None:
    """It keeps the configuration that is there, but for what says whom to trust. It can run again."""
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "config").write_text("module mine.so\nsip_verify_server no\nsip_cafile /etc/other.pem\n")
    profile = replace(profile, reach=Reach(profile.reach.servers[:servers]))
    for _ in range(2):
        subprocess.run(["sh", "-s", str(folder)], input=softphones.baresip(profile), check=True, capture_output=True)
    config = (folder / "config").read_text()
    assert config == f"module mine.so\nsip_cafile {folder}/root.pem\nsip_verify_server yes\nsip_trans_def tls\n"
    account = (folder / "accounts").read_text()
    assert all(part in account for part in (outbound, "auth_user=alice+desk;", "mediaenc=srtp-mand;"))
    assert (folder / "root.pem").read_text() == softphones.pem_of(profile)
    assert (folder / "accounts").stat().st_mode & 0o077 == 0


def test_baresip_gets_a_whole_configuration_where_there_is_none(profile: Profile, tmp_path: Path) -> None:
    subprocess.run(
        ["sh", "-s", str(tmp_path / "new")], input=softphones.baresip(profile), check=True, capture_output=True
    )
    config = (tmp_path / "new" / "config").read_text()
    assert "module_tmp account.so" in config
    assert config.count("sip_verify_server yes") == 1


def test_pjsip_reads_the_names_of_pjsua2(profile: Profile) -> None:
    found = json.loads(softphones.pjsip(profile))
    [credentials] = found["AccountConfig"]["sipConfig"]["authCreds"]
    assert (credentials["username"], credentials["data"]) == ("alice+desk", "secretsecret")
    assert found["TransportConfig"]["tlsConfig"]["verifyServer"] is True
    assert found["AccountConfig"]["mediaConfig"]["srtpUse"] == 2


def test_generic_profile_names_every_server_and_root(profile: Profile) -> None:
    found = json.loads(softphones.generic(profile))
    assert [server["host"] for server in found["servers"]] == ["fe1.example.test", "fe2.example.test"]
    assert found["web_phones"] == ["https://fe1.example.test:8443/phone"]
    assert found["organisation"] == profile.organisation
    assert json.loads(softphones.web(profile))["login"] == "alice+desk"


def test_media_need_no_encryption_where_the_policy_asks_for_none(profile: Profile) -> None:
    free = replace(profile, media=MediaPolicy.ANY)
    assert b'"media_encryption_mandatory" overwrite="true">0<' in softphones.linphone(free)
    assert b"mediaenc=srtp;" in softphones.baresip(free)
    assert json.loads(softphones.pjsip(free))["AccountConfig"]["mediaConfig"]["srtpUse"] == 1


def test_public_roots_are_added_where_servers_present_certificates_of_them(profile: Profile) -> None:
    assert b"ca-certificates.crt" not in softphones.baresip(profile)
    assert b"ca-certificates.crt" in softphones.baresip(replace(profile, has_public=True))


def test_password_is_in_no_text_that_a_log_could_have(profile: Profile) -> None:
    assert "secretsecret" not in repr(profile)
