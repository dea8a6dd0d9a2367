"""Tables of invitations in CSV: the rows that an operator gives, and the links that come of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import OperatorError
from sipmesh.server.provisioning.client_kind import DESK_PHONES, ClientKind
from sipmesh.sip.text import LWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sipmesh.server.provisioning.letter import Letter

COLUMNS: Final = ("user", "device", "phone", "mac", "from", "remote", "certificate")
MOST_ROWS: Final = 10_000

Row = Mapping[str, str]


def rows_of(text: str, where: str) -> Iterator[Row]:
    """Return the rows of a table; raises `OperatorError` that names *where* and the row."""
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        columns: Sequence[str] = reader.fieldnames or ()
        if "user" not in columns or not set(columns) <= set(COLUMNS):
            remedy = f"the first line of {where} names the columns: user, and of these: {', '.join(COLUMNS[1:])}"
            raise OperatorError(f"this is no table of invitations; {remedy}")
        for number, row in enumerate(reader, 1):
            if number > MOST_ROWS or None in row or not row["user"]:
                raise OperatorError(f"{where} row {number}: write a user in each row, and at most {MOST_ROWS} rows")
            yield {key: (value or "").strip(LWS) for key, value in row.items()}
    except csv.Error as wrong:
        raise OperatorError(f"{where} line {reader.line_num}: {wrong}") from None


def wish_of(row: Row) -> dict[str, Any]:
    """Return what `DeviceAccounts.invite` takes of a row; raises `OperatorError`."""
    phone, mac = row.get("phone", ""), row.get("mac", "")
    if phone not in ("", *ClientKind):
        raise OperatorError(f"{phone!r} is no kind of phone; there are: {', '.join(ClientKind)}")
    if (phone in DESK_PHONES) != bool(mac):
        desk = "|".join(sorted(DESK_PHONES))
        raise OperatorError(f"a MAC address belongs to a desk phone: give both --mac and --phone {desk}")
    ticks = {name: row.get(name, "") == "yes" for name in ("remote", "certificate")}
    return {"device": row.get("device", ""), "client": phone, "mac": mac, "network": row.get("from", ""), **ticks}


def links_table(letters: Iterable[Letter]) -> str:
    """Return a table with the link of each invitation, for the mail merge of an operator."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(("user", "device", "invitation", "expires", "link"))
    for letter in letters:
        expires = f"{letter.expires:%Y-%m-%dT%H:%M:%SZ}"
        lines.writerow((letter.user, letter.device, letter.invitation, expires, letter.link))
    return out.getvalue()
