"""Commands to rtpengine, and its replies."""

from __future__ import annotations

import pytest

from sipmesh.errors import RemoteError
from sipmesh.routing.media.bridging.leg import Leg
from sipmesh.routing.media.bridging.ng import answer, datagram, delete, fault_of, offer, query, read_reply, sdp_in


def test_offer_says_how_each_side_is_keyed() -> None:
    made = {leg: offer("key", "a" * 5_000, "", b"v=0", leg) for leg in Leg}
    assert made[Leg.CLEAR]["transport-protocol"] == "RTP/AVP"
    assert made[Leg.BROWSER]["ICE"] == "force"
    assert made[Leg.SDES]["DTLS"] == "off"
    assert all("to-tag" not in one and len(str(one["from-tag"])) == 24 for one in made.values())
    assert {one["transport-protocol"] for leg, one in made.items() if leg is not Leg.CLEAR} == {
        *("RTP/SAVP", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF")
    }


def test_answer_and_later_offer_name_both_sides() -> None:
    assert answer("key", "a", "b", b"v=0")["from-tag"] == offer("key", "a", "b", b"v=0", Leg.SDES)["from-tag"]
    assert answer("key", "a", "b", b"v=0")["to-tag"] == offer("key", "a", "b", b"v=0", Leg.SDES)["to-tag"]


def test_command_is_a_cookie_and_a_dictionary() -> None:
    assert datagram("c1", query("k")) == b"c1 d7:call-id1:k7:command5:querye"
    assert datagram("c2", delete("k")) == b"c2 d7:call-id1:k7:command6:delete12:delete-delayi0ee"


def test_reply_is_read() -> None:
    cookie, reply = read_reply(b"c1 d6:result2:ok3:sdp3:v=0e")
    assert (cookie, fault_of(reply), sdp_in(reply)) == ("c1", "", b"v=0")
    refused = read_reply(b"c1 d12:error-reason7:Unknown6:result5:errore")[1]
    assert (fault_of(refused), sdp_in(refused)) == ("Unknown", b"")
    assert fault_of({}) == "no reason was given"


@pytest.mark.parametrize("octets", [b"", b"c1", b"c1 i7e", b"\xff\xfe d6:result2:oke", b"c1 d6:result2:ok"])
def test_malformed_reply_is_refused(octets: bytes) -> None:
    with pytest.raises(RemoteError):
        read_reply(octets)
