"""`sipmesh topology add`, `change`, `remove` and `rename`: edits of the draft by name, with comments and order kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.control_client import links_of, reload, say_reloaded
from sipmesh.cli.output import BAD, GOOD, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.change import must_have_draft
from sipmesh.cli.topology.publish import unpublished
from sipmesh.cli.topology.remote_servers import must_lead
from sipmesh.topology.builder.outline import Kind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.cli.topology.publish import Unpublished
    from sipmesh.topology.builder.additions import NewServer
    from sipmesh.topology.document.changes import Edit

app = typer.Typer(
    help="Add a part to the draft. Names, ports and next hops are derived from the draft, unless you give them.",
    no_args_is_help=True,
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the difference, and leave the draft unchanged.")]
Site = Annotated[str, typer.Option(metavar="SITE", help="Its site, one of `sites`.")]
Addresses = Annotated[
    list[str] | None,
    typer.Option(
        "--address", metavar="ADDRESS", help="The IP address of a server, in the order of the servers. By default DNS."
    ),
]
Machines = Annotated[
    list[str] | None,
    typer.Option(
        "--machine",
        metavar="NAME",
        help="The machine of a server, a name that you choose, in the order of the servers. By default its address is its"
        " machine, and without an address each server has a machine of its own.",
    ),
]
NextHop = Annotated[
    str,
    typer.Option(
        metavar="POOL",
        help="The front-end pool to which it sends requests. By default the only one, of its site or of all.",
    ),
]
Named = Annotated[
    list[str] | None,
    typer.Option(
        "--server", metavar="NAME", help="A server of the pool; may be repeated. By default one, with the next number."
    ),
]


def apply(topology: TopologyFile, change: Callable[[str], str], *, dry_run: bool, as_json: bool) -> None:
    """Apply *change* to the draft, and print the difference; raises `OperatorError` with the problems of the new draft."""
    from sipmesh.cli.topology.reports import EditReport
    from sipmesh.topology.document.changes import edit_text

    place = Place(topology)
    must_have_draft(place)
    if not dry_run:
        must_lead(place)
    before = links_of(place)
    made = edit_text(topology, change, dry_run=dry_run)
    pending = unpublished(place, made.loaded)
    written = made.after != made.before and not dry_run
    if as_json:
        say_json(EditReport(topology, written, made.diff, pending.base, pending.changes))
        return
    _say_edit(made, pending, written=written)
    if written and not pending.base:
        say_reloaded(reload(place, before))


def _say_edit(made: Edit, pending: Unpublished, *, written: bool) -> None:
    for line in made.diff:
        say(line, style={"+": GOOD, "-": BAD}.get(line[:1], ""))
    if not made.diff:
        say("Nothing has changed.")
    elif not written:
        say(f"{made.file} is unchanged (--dry-run). The new draft would be valid.")
    elif pending.base:
        say(f"{made.file} is changed. Version {pending.base} stays in force until you publish the draft.", style=GOOD)
        say('  to publish the draft: sipmesh topology publish -m "why"')


@app.command("pool")
def add_pool(
    name: Annotated[
        str, typer.Argument(metavar="[POOL]", help="The name of the pool. By default the next one, such as pool2.")
    ] = "",
    *,
    role: Annotated[Role, typer.Option(help="The role of its servers.")],
    server: Named = None,
    address: Addresses = None,
    machine: Machines = None,
    outside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="For an edge: the address of a server for partners, in the order of the servers."
        ),
    ] = None,
    internal_name: Annotated[
        str, typer.Option(metavar="NAME", help="For an edge: its name on the inside. By default edge-int.")
    ] = "",
    next_hop: NextHop = "",
    site: Site = "",
    dry_run: DryRun = False,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Add a pool with its servers.

    The first edge pool becomes the route to partners. Servers at an address that others have get ports that are free there.
    """
    from sipmesh.topology.builder.additions import NewPool, add_pool

    new = NewPool(role, name, _servers(server, address, outside, machine), internal_name, next_hop, site=site)
    apply(topology, lambda text: add_pool(text, new, topology), dry_run=dry_run, as_json=as_json)


def _servers(*columns: list[str] | None) -> list[NewServer]:
    """Pair names, addresses, addresses for partners and machines of new servers by their order."""
    from sipmesh.topology.builder.additions import NewServer

    given = [list(one or ()) for one in columns]
    count = max(map(len, given))
    rows = zip(*(one + [""] * (count - len(one)) for one in given), strict=True)
    return [NewServer(name, address=one, outside=side, machine=host) for name, one, side, host in rows]


@app.command("server")
def add_server(
    name: Annotated[
        str, typer.Argument(metavar="[SERVER]", help="Its name; fe3 is enough. By default the next one of the pool.")
    ] = "",
    *,
    pool: Annotated[
        str, typer.Option(metavar="POOL", help="Its pool. By default the pool whose servers have such names.")
    ] = "",
    address: Annotated[str, typer.Option(metavar="ADDRESS", help="Its IP address. By default DNS.")] = "",
    outside: Annotated[
        str, typer.Option(metavar="ADDRESS", help="For an edge: the address for partners. By default the same.")
    ] = "",
    machine: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Its machine, a name that you choose: for a pool that stores registrations in a file, that of the others.",
        ),
    ] = "",
    site: Site = "",
    dry_run: DryRun = False,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Add a server to a pool."""
    from sipmesh.topology.builder.additions import NewServer, add_server

    new = NewServer(name, pool, address, outside, site, machine)
    apply(topology, lambda text: add_server(text, new, topology), dry_run=dry_run, as_json=as_json)


@app.command("application")
def add_application(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="The name of the application and its only server, such as bot.")
    ] = "",
    *,
    speaks_for: Annotated[
        list[str] | None,
        typer.Option(metavar="DOMAIN", help="A SIP domain of ours whose users it may assert. By default none."),
    ] = None,
    sip_address: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="An address of its own in our domains, such as voicemail@example.com."),
    ] = None,
    numbers: Annotated[
        list[str] | None,
        typer.Option(metavar="PREFIX", help="First digits of telephone numbers of its own, such as +49301234."),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Partners and trunks may call these.")] = False,
    screens: Annotated[
        list[str] | None,
        typer.Option(
            metavar="USER|DOMAIN", help="A user or SIP domain of ours whose calls it gets before the phones ring."
        ),
    ] = None,
    pass_if_away: Annotated[
        bool,
        typer.Option("--pass-if-away", help="While it does not answer, these calls ring. By default they get 503."),
    ] = False,
    server: Named = None,
    address: Addresses = None,
    machine: Machines = None,
    next_hop: NextHop = "",
    site: Site = "",
    dry_run: DryRun = False,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Add an application: a trusted server that is no front end and no edge."""
    from sipmesh.topology.builder.additions import NewPool, add_pool

    servers = _servers(server, address, None, machine)
    new = NewPool(
        Role.APPLICATION,
        name,
        servers,
        next_hop=next_hop,
        speaks_for=tuple(speaks_for or ()),
        sip_addresses=tuple(sip_address or ()),
        numbers=tuple(numbers or ()),
        public=public,
        screens=tuple(screens or ()),
        if_away="pass" if pass_if_away else "",
        site=site,
    )
    apply(topology, lambda text: add_pool(text, new, topology), dry_run=dry_run, as_json=as_json)


@app.command("domain")
def add_domain(
    domain: Annotated[str, typer.Argument(help="A SIP domain of your users, such as example.com.")],
    *,
    dry_run: DryRun = False,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Add a SIP domain. The certificate of each front end and edge must have it: see `sipmesh ca issue`."""
    from sipmesh.topology.builder.additions import add_domain

    apply(topology, lambda text: add_domain(text, domain, topology), dry_run=dry_run, as_json=as_json)


@app.command("site")
def add_site(
    site: Annotated[str, typer.Argument(help="A short name, such as berlin.")],
    *,
    dry_run: DryRun = False,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Add a site, which pools and servers can name."""
    from sipmesh.topology.builder.additions import add_site

    apply(topology, lambda text: add_site(text, site, topology), dry_run=dry_run, as_json=as_json)


def change(
    name: Annotated[str, typer.Argument(help="A pool or server; `network` for the keys at the top of the draft.")],
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...",
            help="A key with its new value, such as ports.client=5063. KEY+=ITEM adds to a list, KEY-=ITEM takes from it, KEY="
            " removes the key.",
        ),
    ],
    *,
    dry_run: DryRun = False,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Change keys of a pool or server of the draft. The keys are those of the document: see `sipmesh topology schema`."""
    from sipmesh.topology.builder.assignments import Assignment
    from sipmesh.topology.builder.assignments import change as changed

    read = [Assignment.read(one) for one in changes]
    apply(topology, lambda text: changed(text, name, read, topology), dry_run=dry_run, as_json=as_json)


def remove(
    name: Annotated[str, typer.Argument(help="A pool, server, SIP domain or site.")],
    *,
    kind: Annotated[
        Kind | None, typer.Option(help="The kind of the name, if two parts of the draft have this name.")
    ] = None,
    dry_run: DryRun = False,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Remove a pool, server, SIP domain or site from the draft. A server that leaves the topology is revoked too."""
    from sipmesh.topology.builder.removal import remove as removed

    apply(topology, lambda text: removed(text, name, topology, kind), dry_run=dry_run, as_json=as_json)


def rename(
    name: Annotated[str, typer.Argument(help="A pool, server, SIP domain or site.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    *,
    kind: Annotated[
        Kind | None, typer.Option(help="The kind of the name, to rename a pool without its server of the same name.")
    ] = None,
    dry_run: DryRun = False,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Rename a part of the draft wherever the draft refers to it. A renamed server needs a new certificate."""
    from sipmesh.topology.builder.renaming import rename as renamed

    apply(topology, lambda text: renamed(text, name, new, topology, kind), dry_run=dry_run, as_json=as_json)
