from __future__ import annotations

import pytest

from sipmesh.transport.special_address import METADATA, is_special


@pytest.mark.parametrize(
    ("address", "special"),
    [
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("128.0.0.1", False),
        ("::1", True),
        ("::2", True),
        ("169.254.169.254", True),
        ("169.253.1.1", False),
        ("fe80::1%eth0", True),
        ("224.0.0.1", True),
        ("ff02::1", True),
        ("0.0.0.0", True),  # noqa: S104
        ("0.1.2.3", True),
        ("1.0.0.0", False),
        ("::", True),
        ("240.0.0.1", True),
        ("255.255.255.255", True),
        ("8.8.8.8", False),
        ("2606:4700::1", False),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("fd00::1", False),
        *((address, True) for address in sorted(map(str, METADATA))),
    ],
)
def test_address_of_this_machine_or_its_link_is_special(address: str, *, special: bool) -> None:
    """A partner may publish in a private network."""
    assert is_special(address) is special


@pytest.mark.parametrize("inner", ["127.0.0.1", "169.254.169.254", "0.1.2.3"])
@pytest.mark.parametrize("form", ["::ffff:{}", "64:ff9b::{}", "2002:{}::"])
def test_address_inside_of_another_one_counts(form: str, inner: str) -> None:
    """The other one alone is what a network with a NAT64 gives for each host outside."""
    for address, special in ((inner, True), ("8.8.8.8", False)):
        octets = [int(octet) for octet in address.split(".")]
        pairs = f"{octets[0] << 8 | octets[1]:x}:{octets[2] << 8 | octets[3]:x}"
        assert is_special(form.format(pairs if form.startswith("2002") else address)) is special


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3"])
def test_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear"):
        is_special(text)
