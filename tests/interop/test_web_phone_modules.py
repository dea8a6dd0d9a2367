"""The parts of the web phone that read what others have sent, run by node without a browser."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any

import pytest

from sipmesh.server.files.file_about import about_of, written_xml
from support.checkout import ROOT

pytestmark = [pytest.mark.soak, pytest.mark.peer("npm")]  # npm is installed for make soak alone

BOB = "bob@example.test"
PIDF = '<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf">{}</presence>'


def evaluated(module: str, expression: str, *given: Any) -> Any:
    """Evaluate *expression* with the exports of *module* as ``m``, and with *given*; gives its value."""
    script = (
        f"import * as m from {json.dumps(str(ROOT / 'web_phone' / module))};"
        f"const given = {json.dumps(given)}; process.stdout.write(JSON.stringify({expression}))"
    )
    command = ["node", "--input-type=module", "-e", script]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_address_that_is_typed_is_read_or_refused() -> None:
    typed = {
        " alice@Example.test ": "alice@example.test",
        "sip:Bob@example.test": "Bob@example.test",
        "+493012345@example.test": "+493012345@example.test",
        "alice": "",
        "alice@": "",
        "a@b@c": "",
        "alice@example.test;transport=udp": "",
        "<alice@example.test>": "",
        "alice@example.test\r\nFrom: eve": "",
        "javascript:alert(1)@x": "",
    }
    assert evaluated("address.js", "given[0].map(m.readAddress)", list(typed)) == list(typed.values())


def test_sender_is_read_from_the_asserted_identity_alone() -> None:
    """No escape is decoded, and no display name is part of it: each row but the first two is an attempt to look like alice."""
    asserted = {
        "<sip:alice@example.test>": "alice@example.test",
        '"Alice" <sip:alice@EXAMPLE.test;user=phone>': "alice@example.test",
        '"<sip:alice@example.test>" <sip:eve@partner.test>': "eve@partner.test",
        "<sip:alice%40example.test@partner.test>": "alice%40example.test@partner.test",
        "<sip:eve@partner.test?x=sip:alice>": "eve@partner.test",
        "<sip:alice@example.test@partner.test>": "",
        "alice@example.test": "",
        "<tel:+493012345>": "",
        "<sip:example.test>": "",
        "<sip:eve@partner.test>, <sip:alice@example.test>": "",
    }
    sender = (
        "given[0].map(value => m.provedSender({getHeaders: name => name === 'P-Asserted-Identity' ? [value] : []}))"
    )
    assert evaluated("address.js", sender, list(asserted)) == list(asserted.values())
    claims = "m.provedSender({getHeaders: () => [], from: {uri: {user: 'alice', host: 'example.test'}}})"
    assert evaluated("address.js", claims) == ""


def test_call_is_signed_if_the_server_has_verified_its_sender() -> None:
    """The field names another user, or there is none."""
    given = {"<sip:erin@partner.test>": True, "<sip:eve@partner.test>": False, "erin@partner.test": False, "": False}
    signed = "given[0].map(value => m.isSigned({getHeader: name => name === 'Verified-Identity' ? value : undefined}, given[1]))"
    assert evaluated("address.js", signed, list(given), "erin@partner.test") == list(given.values())
    assert evaluated("address.js", "m.isSigned({getHeader: () => undefined}, given[0])", "") is False


def test_target_of_a_transfer_is_shown_as_it_is_written() -> None:
    given = [
        {"user": "carol", "host": "example.test"},
        {"user": "alice%40x", "host": "evil.test"},
        {"host": "evil.test"},
    ]
    targets = evaluated("address.js", "given[0].map(uri => m.targetOf({refer_to: {uri}}))", given)
    assert targets == ["carol@example.test", "alice%40x@evil.test", "evil.test"]


def test_cancelled_request_is_known_by_its_branch() -> None:
    """The first Via counts. The JavaScript of the page gets text, or octets."""
    via = "SIP/2.0/WSS fe1.example.test;branch="
    given = {
        f"CANCEL sip:x SIP/2.0\r\nVia: {via}z9hG4bK1;rport\r\nVia: {via}z9hG4bK2\r\n\r\n": "z9hG4bK1",
        f"CANCEL sip:x SIP/2.0\r\nCSeq: 1 CANCEL\r\nv : {via}z9hG4bK3\r\n\r\n": "z9hG4bK3",
        f"INVITE sip:x SIP/2.0\r\nVia: {via}z9hG4bK4\r\n\r\n": "",
        f"SIP/2.0 200 OK\r\nVia: {via}z9hG4bK5\r\nCSeq: 1 CANCEL\r\n\r\n": "",
        "\r\n": "",
    }
    told = "given[0].map((text) => [m.cancelledBranch(text), m.cancelledBranch(new TextEncoder().encode(text))])"
    assert evaluated("cancels.js", told, list(given)) == [[branch, branch] for branch in given.values()]


def test_cancelled_request_is_reported_once_and_after_the_other_reader() -> None:
    played = """(() => {
        const socket = {}, seen = [], cancels = new m.Cancels(socket);
        socket.ondata = () => seen.push("read");
        const cancel = (branch) => socket.ondata(`CANCEL x SIP/2.0\\r\\nVia: SIP/2.0/WSS x;branch=${branch}\\r\\n\\r\\n`);
        cancel("a");
        cancels.wait({via_branch: "a"}, () => seen.push("cancelled"));
        for (const branch of ["b", "a", "a"]) cancel(branch);
        return seen;
    })()"""
    assert evaluated("cancels.js", played) == ["read", "read", "read", "cancelled", "read"]


def test_characters_that_mislead_are_replaced() -> None:
    texts = {
        "moc.elpmaxe@\u202eecila": "moc.elpmaxe@\u00b7ecila",
        "a\u0000b\u0007\u200fc\u2066d": "a\u00b7b\u00b7\u00b7c\u00b7d",
        "two\nlines \U0001f469\u200d\U0001f4bb": "two\nlines \U0001f469\u200d\U0001f4bb",
        "x" * 300: "x" * 200 + "\u2026",
    }
    assert evaluated("text.js", "given[0].map(text => m.printable(text))", list(texts)) == list(texts.values())


@pytest.mark.parametrize(
    ("inside", "state", "note"),
    [
        ("<tuple id='a'><status><basic>open</basic></status></tuple>", "open", ""),
        ("<p:tuple id='a'><p:status><p:basic>open</p:basic></p:status></p:tuple>", "open", ""),
        ("<basic>closed</basic><basic>open</basic><note>in a call</note>", "open", "in a call"),
        ("<basic>closed</basic><note xml:lang='en'>&lt;b&gt; &amp;amp; &#x41;</note>", "closed", "<b> &amp; &#x41;"),
        ("<basic>OPEN</basic>", "closed", ""),
        ("no document", "closed", ""),
    ],
)
def test_presence_document_is_read_for_two_facts(inside: str, state: str, note: str) -> None:
    assert evaluated("presence.js", "m.readPidf(given[0])", PIDF.format(inside)) == {"state": state, "note": note}


def test_hostile_presence_document_takes_no_time() -> None:
    """Parts that begin again and again: the work grows linearly, and is bounded."""
    for part in ("<basic>", "<note", "<note ", "<a:" * 3, "&lt;"):
        assert evaluated("presence.js", "m.readPidf(given[0].repeat(20000)).state", part) == "closed"


def test_each_failure_has_a_sentence() -> None:
    events: list[dict[str, Any]] = [{"response": {"status_code": status}} for status in (404, 486, 599)]
    events += [{"cause": "Connection Error"}, {"cause": "<img src=x>"}, {}]
    told = evaluated("reasons.js", "given[0].map(m.reasonOf)", events)
    assert told[0] == "There is no such user."
    assert told[2] == "The server has answered 599."
    assert told[-2:] == ["This did not work."] * 2
    wrong = "m.reasonOfLogin({response: {status_code: 403}})"
    assert evaluated("reasons.js", wrong) == "The address or the password is wrong."


def test_stranger_displaces_a_stranger_and_never_a_kept_contact() -> None:
    """With 500 kept contacts one stranger is shown beside them, and no further contact can be kept."""
    kept = [f"u{number}@example.test" for number in range(500)]
    added = """(() => {
        globalThis.localStorage = {getItem: () => JSON.stringify(given[0]), setItem: (_, text) => (globalThis.stored = text)};
        m.Contacts.prototype.show = () => {};
        const contacts = new m.Contacts("alice@example.test", () => {}, () => {});
        for (const address of given[1]) contacts.add(address, {kept: false});
        contacts.store();
        const canKeep = [given[0][0], "new@example.test"].map((address) => contacts.canKeep(address));
        contacts.remove(given[0][0]);
        return [[...contacts.people.keys()], canKeep, contacts.canKeep("new@example.test"), JSON.parse(globalThis.stored)];
    })()"""
    people, can_keep, after, stored = evaluated("contacts.js", added, kept, ["eve@x.test", "mallory@x.test"])
    assert people == [*kept[1:], "mallory@x.test"]
    assert (can_keep, after) == ([True, False], True)
    assert stored == kept[1:]


def test_what_is_typed_to_call_is_a_user_of_the_own_domain_or_an_address() -> None:
    typed = {
        "bob": "bob@example.test",
        " +49 (30) 123-45 ": "+493012345@example.test",
        "0049/30.123": "004930123@example.test",
        "*21#": "*21#@example.test",
        "Bob@Partner.test": "Bob@partner.test",
        "sip:erin@partner.test": "erin@partner.test",
        "bob smith": "",
        "bob;transport=udp": "",
        "bob@": "",
        "<img>": "",
        "": "",
    }
    read = "given[0].map(text => m.readTarget(text, 'alice@example.test'))"
    assert evaluated("address.js", read, list(typed)) == list(typed.values())
    assert evaluated("address.js", "m.uriOf('*21#@example.test')") == "sip:*21%23@example.test"


def test_stored_call_is_read_or_left_out() -> None:
    """Another page of the origin may have written it: what is no call is not shown."""
    call = {"address": BOB, "kind": "in", "began": 1, "seconds": 2, "text": "The call has ended."}
    wrong: list[Any] = [
        {**call, "kind": "toString"},
        {**call, "began": "1"},
        {**call, "text": "x" * 301},
        {**call, "address": None},
        None,
        "x",
        [],
    ]
    assert evaluated("history.js", "m.readEntry(given[0])", {**call, "more": 1}) == {**call, "isNew": False}
    assert evaluated("history.js", "given[0].map(m.readEntry)", wrong) == [None] * len(wrong)


def test_only_missed_calls_are_new() -> None:
    """What the user has not seen yet is stored too, so that a reload does not forget it."""
    call = {"address": BOB, "kind": "missed", "began": 1, "seconds": 0, "text": ""}
    given = [{**call, "isNew": True}, {**call, "isNew": "x"}, {**call, "kind": "out", "isNew": True}, call]
    assert evaluated("history.js", "given[0].map(one => m.readEntry(one).isNew)", given) == [True, False, False, False]
    assert evaluated("history.js", "m.readEntry(given[0])", {**call, "began": 9e15}) is None  # no date


def test_what_was_stored_of_devices_and_presence_is_read_or_left_out() -> None:
    texts = ['{"microphone": "m1", "ringer": 7}', "null", "[1]", "no json", None]
    empty = {"microphone": "", "speaker": "", "ringer": ""}
    read = evaluated("devices.js", "given[0].map(m.readChosen)", texts)
    assert read == [{**empty, "microphone": "m1"}, empty, empty, empty, empty]


def test_profile_names_servers_and_users_or_nothing() -> None:
    profiles = {
        '{"iceServers": [{"urls": ["stun:x"]}], "callsFor": ["bob@example.test", "<b>x", 7], "ttl": 0}': [1, [BOB]],
        '{"iceServers": 1, "callsFor": "bob@example.test"}': [0, []],
        "null": [0, []],
        "<html>": [0, []],
    }
    read = "given[0].map(m.readProfile).map(({servers, callsFor}) => [servers.length, callsFor])"
    assert evaluated("profile.js", read, list(profiles)) == list(profiles.values())
    pages = {
        "https://join.example.test:8445/portal": True,
        "http://x.test/portal": False,
        "https://x.test/portal#x": False,
    }
    portal = "given[0].map((portal) => m.readProfile(JSON.stringify({portal})).portal === portal)"
    assert evaluated("profile.js", portal, [*pages, 7, None]) == [*pages.values(), False, False]
    many = "m.readProfile(JSON.stringify({callsFor: Array(200).fill(given[0])})).callsFor.length"
    assert evaluated("profile.js", many, BOB) == 100


RINGING = {"callId": "a&b@x", "localTag": "l1", "remoteTag": "r1", "address": "+4930@example.test"}


def test_call_that_rings_is_written_and_read_again() -> None:
    read = "m.readDialogs(m.writeDialogs('bob@example.test', 3, given[0]))"
    assert evaluated("dialog_info.js", read, RINGING) == [RINGING]
    assert evaluated("dialog_info.js", read, None) == []
    written = evaluated("dialog_info.js", "m.writeDialogs('bob@example.test', 3, given[0])", RINGING)
    assert 'version="3" state="full" entity="sip:bob@example.test"' in written


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("early", "confirmed"),
        ("recipient", "initiator"),
        ('local-tag="l1"', 'local-tag="l1;x=y"'),
        ('remote-tag="r1"', 'remote-tag="r1&#13;&#10;X: y"'),
        ("sip:+4930@example.test", "sip:+4930@example.test&#13;&#10;X: y"),
        ("sip:+4930@example.test", "nobody"),
        ("</dialog>", ""),
    ],
)
def test_call_that_does_not_ring_or_cannot_be_named_is_left_out(old: str, new: str) -> None:
    changed = "m.readDialogs(m.writeDialogs('bob@example.test', 3, given[0]).replace(given[1], given[2]))"
    assert evaluated("dialog_info.js", changed, RINGING, old, new) == []


def test_hostile_dialog_document_takes_no_time() -> None:
    for part in ("<dialog ", "</dialog>", "<a:", "<remote><identity>", "<state ", "<dialog x='"):
        assert evaluated("dialog_info.js", "m.readDialogs(given[0].repeat(20000))", part) == []


def test_rules_are_sentences_and_what_is_none_is_left_out() -> None:
    rules = {
        "always": "never",
        "busy": "tel:+493012345",
        "no_answer": "sip:carol@example.test",
        "ring_s": 20,
        "also": ["sip:bob@example.test", 7],
        "callers": {"sip:eve@partner.test": "block", "*": "allow", "anonymous": "block", "x": "y"},
        "delegates": ["<b>"],
        "more": 1,
    }
    said = evaluated("rules.js", "m.sentencesOf(given[0])", rules)
    assert said == [
        ["When you are busy, your calls go to ", ["+493012345"]],
        ["When you do not answer, your calls go to ", ["carol@example.test"]],
        ["Your phones ring for 20 seconds.", []],
        ["At the same time ring: ", ["bob@example.test"]],
        ["Blocked: ", ["eve@partner.test", "hidden callers"]],
        ["Let through: ", ["everybody else"]],
        ["These call for you: ", ["<b>"]],
    ]
    none: list[object] = [None, [], {"busy": 1, "callers": 5}]
    assert evaluated("rules.js", "given[0].map(m.readRules).map(m.sentencesOf)", none) == [[], [], []]


def test_account_is_two_pages_and_a_ticket_or_nothing() -> None:
    good = {"contacts": "https://join.test:8445/contacts", "rules": "https://join.test:8445/rules", "ticket": "t"}
    wrong = [
        {},
        {**good, "ticket": 7},
        {**good, "rules": "https://join.test/rules?x"},
        {**good, "rules": "http://x.test/rules"},
    ]
    read = "given[0].map((account) => m.readProfile(JSON.stringify({account})).account)"
    assert evaluated("profile.js", read, [good, *wrong, None]) == [{**good, "files": "", "largest": 0}, *[None] * 5]


HELD = {
    "busy": "tel:+493012345",
    "no_answer": "sip:carol@example.test",
    "ring_s": 20,
    "also": ["sip:bob@example.test", "tel:+4930"],
    "callers": {"sip:eve@partner.test": "block", "*": "allow", "anonymous": "block"},
    "delegates": ["sip:bob@example.test"],
    "unlisted": True,
}


def test_form_says_the_rules_and_sends_what_differs_alone() -> None:
    fields = evaluated("rule_form.js", "m.fieldsOf(given[0])", HELD)
    assert fields == {
        "always": "",
        "busy": "+493012345",
        "no_answer": "carol@example.test",
        "away": "",
        "ring_s": "20",
        "also": "bob@example.test, +4930",
        "block": "eve@partner.test, anonymous",
        "allow": "*",
        "delegates": "bob@example.test",
        "do_not_disturb": False,
        "unlisted": True,
    }
    changes: list[tuple[dict[str, object], dict[str, object]]] = [
        ({}, {}),
        ({"busy": " ", "away": " bob "}, {"busy": "none", "away": "bob"}),
        ({"ring_s": ""}, {"ring_s": 0}),
        ({"also": "+4930"}, {"also": ["+4930"]}),
        ({"delegates": ""}, {"delegates": []}),
        ({"delegates": " bob@example.test ,, bob@example.test"}, {}),
        ({"do_not_disturb": True, "unlisted": False}, {"do_not_disturb": True, "unlisted": False}),
        (
            {"block": "eve@partner.test\nfay", "allow": "anonymous"},
            {"callers": {"fay": "block", "anonymous": "allow", "*": "none"}},
        ),
    ]
    sent = "given[1].map((typed) => m.changesOf(given[0], {...given[0], ...typed}).changes)"
    assert evaluated("rule_form.js", sent, fields, [typed for typed, _ in changes]) == [one for _, one in changes]
    wrong = [{"ring_s": "soon"}, {"ring_s": "-5"}, {"allow": "eve@partner.test"}]
    blamed = "given[1].map((typed) => m.changesOf(given[0], {...given[0], ...typed}).field)"
    assert evaluated("rule_form.js", blamed, fields, wrong) == ["ring_s", "ring_s", "allow"]
    none = {"busy": 7, "callers": 5}
    assert evaluated("rule_form.js", "Object.values(m.fieldsOf(given[0])).filter(Boolean)", none) == []


def test_log_out_ends_the_last_ticket_of_each_link_that_may_count_still() -> None:
    """Also those of links that were lost; the oldest of too many is left to its time."""

    def ticket(link: str, number: int) -> str:
        payload = base64.urlsafe_b64encode(json.dumps({"link": link, "n": number, "x": "\u00ff\u00ff>?"}).encode())
        return f"h.{payload.decode().rstrip('=')}.s"

    made = [(0, ticket("a", 1)), (1, ticket("b", 2)), (500_000, ticket("b", 3)), (500_001, "odd"), (899_999, "odd")]
    held = (
        "(() => {let at = 0; const held = new m.Tickets(() => at);"
        "for (const [when, ticket] of given[0]) {at = when; held.take({ticket});}"
        "at = 900_000; return held.fresh.map((one) => one.ticket)})()"
    )
    assert evaluated("profile.js", held, made) == [made[2][1], "odd"]
    assert len(evaluated("profile.js", held, [(1, ticket(str(number), 1)) for number in range(40)])) == 16


def test_answer_about_a_rule_says_nothing_to_operators() -> None:
    to_operators = "x is not a user; to list the users: sipmesh user list"
    answers: list[tuple[object, object]] = [
        ({"field": "busy", "error": to_operators}, {"field": "busy", "error": "x is not a user"}),
        ({"field": 7, "error": "wrong"}, {"field": "", "error": "wrong"}),
        ({"missing": 2}, {"missing": 2}),
        (None, {"missing": 0}),
    ]
    read = "given[0].map(m.readAnswer)"
    assert evaluated("rule_store.js", read, [given for given, _ in answers]) == [told for _, told in answers]


def test_users_who_were_found_are_read_or_left_out() -> None:
    found = {
        "users": [
            {"address": BOB, "numbers": ["+493012345", 7, "9" * 50], "group": False},
            {"address": "sales@example.test", "group": True},
            {"address": "<b>@x"},
            None,
        ],
        "more": True,
    }
    read = evaluated("search.js", "m.readFound(given[0])", json.dumps(found))
    assert read["users"] == [
        {"address": BOB, "numbers": ["+493012345", "9" * 40], "isGroup": False},
        {"address": "sales@example.test", "numbers": [], "isGroup": True},
    ]
    assert read["more"] is True
    for body in ("null", "no json", '{"users": 1}'):
        assert evaluated("search.js", "m.readFound(given[0])", body) == {"users": [], "more": False}


def test_what_is_searched_for_is_one_parameter_of_the_event() -> None:
    typed = {
        " bob ": "bob",
        "a;id=1": "a%3Bid%3D1",
        "(030) 1": "%28030%29%201",
        "b\r\nX: y": "b%0D%0AX%3A%20y",
        "\u00e4": "%C3%A4",
    }
    assert evaluated("subscription.js", "given[0].map(m.parameterOf)", list(typed)) == list(typed.values())


def test_user_who_was_called_first_is_the_first_entry_of_the_history() -> None:
    fields = {
        "<sip:bob@Example.test>;index=1, <sip:alice@example.test;cause=302>;index=1.1;mp=1": BOB,
        "<sip:+493012345@example.test;user=phone>;index=1": "+493012345@example.test",
        "<sip:alice@example.test>;index=1": "",  # the own user
        "<tel:+4930>;index=1": "",
        "<sip:a@b@example.test>;index=1": "",
        '"<sip:bob@example.test>" <sip:eve@partner.test>;index=1': "",
        "": "",
    }
    first = "given[0].map(value => m.firstCalled({getHeader: () => value}, 'alice@example.test'))"
    assert evaluated("address.js", first, list(fields)) == list(fields.values())
    assert evaluated("address.js", "m.firstCalled({getHeader: () => undefined}, given[0])", BOB) == ""


def test_keys_are_events_in_the_audio_or_else_requests_if_the_other_side_allows_them() -> None:
    sdp = "v=0\r\na=rtpmap:111 opus/48000/2\r\n"
    events = f"{sdp}a=rtpmap:101 telephone-event/8000\r\n"
    sent = """given[0].map(([sdp, takesInfo, isLinked]) => {
        const seen = [], connection = {remoteDescription: {sdp}};
        const session = {connection, sendDTMF: (key, {transportType}) => seen.push(key, transportType)};
        return [m.sendKey({session, takesInfo}, "5", isLinked), ...seen];
    })"""
    rows = [[events, False, True], [events, True, False], [sdp, True, True], [sdp, False, True], [sdp, True, False]]
    told = evaluated("tones.js", sent, rows)
    refused = [["The other side takes no keys."], ["The connection to the server was lost."]]
    assert told == [["", "5", "RFC2833"]] * 2 + [["", "5", "INFO"], *refused]
    allowed = {"INVITE, ACK , info": True, "INVITE, UPDATE": False, "INFOS": False, "": False}
    read = "given[0].map(value => m.allowsInfo({getHeader: () => value}))"
    assert evaluated("tones.js", read, list(allowed)) == list(allowed.values())
    assert evaluated("tones.js", "m.allowsInfo(undefined)") is False


def test_call_that_another_device_has_answered_is_not_missed() -> None:
    reasons = {
        'SIP;cause=200;text="Call completed elsewhere"': True,
        'SIP ;text="x"; cause = 200': True,
        "SIP;cause=2000": False,
        "Q.850;cause=200": False,
        'SIP;cause=487;text="cause=200"': False,
        "": False,
    }
    told = "given[0].map(reason => m.wasAnsweredElsewhere({message: {getHeader: () => reason}}))"
    assert evaluated("call.js", told, list(reasons)) == list(reasons.values())
    assert evaluated("call.js", "m.wasAnsweredElsewhere(null)") is False


def test_invitation_is_read_from_the_fragment_of_the_page_alone() -> None:
    ticket = "A" * 32
    read = {
        f"invitation={ticket}@join.example.test:8445": {"ticket": ticket, "host": "join.example.test:8445"},
        f"invitation={ticket}@evil.test/x?": None,
        f"invitation={ticket}": None,
        f"invitation={ticket[1:]}@join.example.test": None,
        f"invitation={ticket}@user:secret@join.example.test": None,
        "alice@example.test": None,
        "": None,
    }
    assert evaluated("invitation.js", "given[0].map(m.readInvitation)", list(read)) == list(read.values())


def test_xml_of_a_file_gives_a_link_by_https_alone() -> None:
    """As our server writes it, and as linphone writes it again; all others give nothing."""
    ours = written_xml(about_of("a & b.txt", "text/plain"), 12, "https://m.test/files/x?a&b", 0.0)
    linphone = (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n<file xmlns="urn:gsma:params:xml:ns:rcs:rcs:fthttp" '
        'xmlns:am="urn:gsma:params:xml:ns:rcs:rcs:rram">\r\n<file-info type="file">\r\n<file-size>5</file-size>\r\n'
        "<file-name>note.txt</file-name>\r\n<content-type>text/plain</content-type>\r\n"
        '<data url="https://m.test/files/y"/>\r\n</file-info>\r\n</file>'
    )
    read = evaluated("file_store.js", "given[0].map(m.readFile)", [ours, linphone])
    assert read == [
        {"url": "https://m.test/files/x?a&b", "host": "m.test", "name": "a & b.txt", "size": 12},
        {"url": "https://m.test/files/y", "host": "m.test", "name": "note.txt", "size": 5},
    ]
    wrong = ["", "hello", ours.replace("https:", "http:"), ours.replace("https:", "javascript:"), " " * 16_384 + ours]
    wrong += [ours.replace("m.test", "u:p@m.test"), ours.replace("</file-info>", "<file-key>k</file-key></file-info>")]
    wrong += [ours.replace('type="file"', 'type="thumbnail"'), ours.replace("m.test", "m.test/" + "x" * 2_000)]
    wrong += ["<file-info " * 1_400, '<file-info type="file">' + "<data " * 2_500]
    assert evaluated("file_store.js", "given[0].map(m.readFile)", wrong) == [None] * len(wrong)
    assert evaluated("file_store.js", "given[0].map(m.sizeOf)", [0, 999, 1_000, 999_000, 20_000_000]) == [
        "0 B",
        "999 B",
        "1 KB",
        "999 KB",
        "20.0 MB",
    ]


FILE = written_xml(about_of("a.txt", "text/plain"), 12, "https://m.test/files/x", 0.0)
HISTORY_ROW = {
    "at": 1_796_176_106_226_953,
    "with": BOB,
    "from": BOB,
    "mine": False,
    "proved": True,
    "type": "text/plain",
    "id": "1 a@b",
    "text": "hello",
}


def test_page_of_the_history_is_read_and_what_is_no_message_is_left_out() -> None:
    rows = [
        HISTORY_ROW,
        {**HISTORY_ROW, "at": 2_000, "text": None, "left": "encrypted"},
        {**HISTORY_ROW, "at": 1_000, "type": "image/png", "text": None, "base64": "AA=="},
        {**HISTORY_ROW, "at": 500, "type": "application/vnd.gsma.rcs-ft-http+xml", "text": FILE},
        {**HISTORY_ROW, "at": "1"},
        {**HISTORY_ROW, "with": "<b>@x"},
        {**HISTORY_ROW, "with": "anonymous@anonymous.invalid"},
        {**HISTORY_ROW, "from": 1},
        None,
    ]
    body = json.dumps({"messages": rows, "before": 1_000})
    read = evaluated("message_pages.js", "m.readPage(given[0], given[1])", body, "alice@example.test")
    assert read["before"] == 1_000
    assert [row["file"]["name"] for row in read["rows"] if row["file"]] == ["a.txt"]
    assert [row["text"] for row in read["rows"][1:]] == [
        "(a message of the type image/png, which this phone does not show)",
        "(an encrypted message, which other devices cannot read)",
        "hello",
    ]
    for none in ("null", "no json", '{"unavailable": true}', '{"messages": 1}'):
        assert evaluated("message_pages.js", "m.readPage(given[0], '')", none) is None


def test_sender_of_the_own_domain_who_is_not_proved_is_marked() -> None:
    """A partner is never marked as proved, and its own server has vouched for it."""
    given = {("eve@example.test", False): True, ("erin@partner.test", False): False, (BOB, True): False}
    rows = [{**HISTORY_ROW, "from": sender, "proved": proved} for sender, proved in given]
    read = "m.readPage(JSON.stringify({messages: given[0]}), 'alice@example.test').rows.map((row) => row.wrong !== '')"
    assert evaluated("message_pages.js", read, rows) == list(given.values())


def test_message_that_the_page_has_seen_and_the_history_has_is_there_once() -> None:
    """The same id of another sender, or of the own user, is another message; what has no id stays."""
    seen = [
        {"id": "1 a@b", "from": BOB, "mine": False, "at": 5, "text": "seen", "later": True},
        {"id": "1 a@b", "from": "eve@x.test", "mine": False, "at": 6, "text": "of eve"},
        {"id": "1 a@b", "from": "alice@example.test", "mine": True, "at": 7, "text": "own"},
        {"at": 8, "text": "a note", "note": True},
        {"id": "9 x", "from": BOB, "mine": False, "at": 2, "text": "past", "isPast": True},
    ]
    row = {"id": "1 a@b", "from": BOB, "mine": False, "at": 1, "text": "kept", "isPast": True}
    twice = "m.merged(m.merged(given[0], [given[1]]), [given[1]])"
    found = evaluated("message_pages.js", twice, seen, row)
    assert [one["text"] for one in found] == ["kept", "past", "of eve", "own", "a note"]
    assert found[0]["later"] is True


def test_days_of_the_history_are_a_number_or_none() -> None:
    read = "given[0].map((historyDays) => m.readProfile(JSON.stringify({historyDays})).historyDays)"
    assert evaluated("profile.js", read, [30, 0, -1, "30", None]) == [30, 0, 0, 0, 0]
