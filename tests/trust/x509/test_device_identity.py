"""The identity of a device is two URIs of the subject alternative name, with no further name."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509

from sipmesh.demo.forge import Wish
from sipmesh.trust.x509.device_identity import (
    DeviceIdentity,
    device_identity,
    is_for_devices,
    issues_for_devices,
)
from trust.network import Network

DESK = "sipmesh-device:desk"


def of(net: Network, *uris: str, **changes: Any) -> DeviceIdentity | None:
    return device_identity(net.device(uris=uris, **changes).certificate)


def test_device_has_a_user_and_a_name(net: Network) -> None:
    found = device_identity(net.device().certificate)
    assert found == DeviceIdentity("sip:alice@example.test", "desk")
    assert found.domain == "example.test"


@pytest.mark.parametrize(
    "uris",
    [
        ("sip:alice@example.test",),
        (DESK,),
        (DESK, "sip:alice@example.test"),
        ("sip:alice@example.test", DESK, "sip:bob@example.test"),
        ("sips:alice@example.test", DESK),
        ("SIP:alice@example.test", DESK),
        ("sip:example.test", DESK),
        ("sip:alice@bob@example.test", DESK),
        ("sip:alice:secret@example.test", DESK),
        ("sip:alice@example.test;user=phone", DESK),
        ("sip:alice@example.test?to=bob", DESK),
        ("sip:alice@example.test:5061", DESK),
        ("sip:alice@EXAMPLE.test", DESK),
        ("tel:+15550100", DESK),
        ("sip:alice@example.test", "sipmesh-device:Desk"),
        ("sip:alice@example.test", "sipmesh-device:"),
        ("sip:alice@example.test", "sipmesh-operator:desk"),
    ],
)
def test_other_names_are_no_device(net: Network, uris: tuple[str, ...]) -> None:
    assert of(net, *uris) is None


def test_a_dns_name_beside_or_a_common_name_alone_is_no_device(net: Network) -> None:
    assert of(net, "sip:alice@example.test", DESK, dns=("example.test",)) is None
    assert of(net, common_name="alice@example.test desk") is None


def test_policy_tells_devices_from_servers(net: Network) -> None:
    device, server = net.device(), net.fe2_certificate()
    assert is_for_devices(device.certificate)
    assert not is_for_devices(server.certificate)
    assert issues_for_devices((device.certificate, net.devices.certificate))
    assert not issues_for_devices((server.certificate, net.ours.certificate))
    assert not issues_for_devices((net.devices.certificate,))


def test_a_device_is_no_issuer_for_devices(net: Network) -> None:
    leaf = net.forge.forge(Wish("below"), net.device())
    path: tuple[x509.Certificate, ...] = (leaf.certificate, net.device().certificate)
    assert not issues_for_devices(path)
