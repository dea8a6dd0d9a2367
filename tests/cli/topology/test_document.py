"""What the document says, for people and for programs."""

import json

from cli.world import DOMAIN, FE1, Organisation


def test_a_check_reports_every_problem_with_its_place(organisation: Organisation) -> None:
    text = organisation.file.read_text()
    organisation.file.write_text(text.replace("role: front-end", "role: frontend") + "surprise: 1\n")
    checked = organisation.type("topology", "check")
    assert checked.code == 1
    assert checked.out == ""
    assert f"{organisation.file}:" in checked.err
    assert "surprise" in checked.err
    assert "role" in checked.err


def test_a_program_gets_problems_on_standard_output(organisation: Organisation) -> None:
    organisation.file.write_text(organisation.file.read_text() + "surprise: 1\n")
    checked = organisation.type("topology", "check", "--json")
    assert (checked.code, checked.json["ok"], checked.json["problems"][0]["field"]) == (1, False, "surprise")


def test_a_certificate_that_lacks_a_name_is_a_warning(organisation: Organisation) -> None:
    """A new SIP domain is in no certificate yet: phones of that domain would refuse the server."""
    text = organisation.file.read_text()
    organisation.file.write_text(text.replace(f"sip_domains: [{DOMAIN}]", f"sip_domains: [{DOMAIN}, example.net]"))
    warning = organisation.type("topology", "check", "--json").json["warnings"][0]
    assert "example.net" in warning["reason"]
    assert warning["remedy"] == f"sipmesh ca issue {FE1}"
    assert organisation.type("ca", "issue", FE1).code == 0
    assert organisation.type("topology", "check", "--json").json["warnings"] == []


def test_show_says_who_may_open_which_link(running: Organisation) -> None:
    told = running.type("topology", "show", FE1, "--json").json
    ports = {port["kind"]: [opener["name"] for opener in port["may_open"]] for port in told["listeners"]}
    assert ports == {"client": ["phones"], "server": ["edge1.example.com", "fe2.example.com", "mgmt.example.com"]}
    table = running.type("topology", "show").out
    assert "pool1.example.com" in table
    assert "sip.example.com" in table


def test_show_of_an_unknown_server_names_the_nearest(running: Organisation) -> None:
    left = running.type("topology", "show", "fe3.example.com")
    assert left.code == 1
    assert "did you mean" in left.err


def test_show_gives_a_program_the_whole_document(running: Organisation) -> None:
    told = running.type("topology", "show", "--json").json
    assert [pool["name"] for pool in told["pools"]] == ["mgmt.example.com", "pool1.example.com", "sip.example.com"]


def test_schema_is_json(organisation: Organisation) -> None:
    assert json.loads(organisation.type("topology", "schema").out)["title"].startswith("sipmesh topology")


def test_database_that_is_in_force_is_asked_and_no_other(organisation: Organisation) -> None:
    """Nothing answers on port 1: a warning, since a draft may be checked while a database is away."""
    change = ("topology", "change", "network")
    url, other = (f"postgresql+psycopg://sipmesh@127.0.0.1:{port}/messages" for port in (1, 2))
    assert organisation.type(*change, f"storage.messages={url}").code == 0
    organisation.publish("a database of stored messages")
    checked = organisation.type("topology", "check", "--json")
    [warning] = [one for one in checked.json["warnings"] if one["field"] == "storage.messages"]
    assert (checked.code, "the stored messages in" in warning["reason"]) == (0, True)
    assert organisation.type(*change, f"storage.messages={other}").code == 0
    draft = organisation.type("topology", "check", "--json").json
    assert not [one for one in draft["warnings"] if one["field"] == "storage.messages"]
