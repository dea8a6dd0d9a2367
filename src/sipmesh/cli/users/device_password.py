"""`sipmesh user password --device`: a password of one new device, which a person types into the phone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.cli.control_client import tell_users_changed
from sipmesh.cli.output import GOOD, say, say_document, say_json
from sipmesh.cli.users.reports import NewDevicePassword

if TYPE_CHECKING:
    from sipmesh.cli.place import Place


def give_device_password(place: Place, user: str, device: str, *, as_json: bool) -> None:
    """Make the password, tell the servers, and print it."""
    with place.devices() as accounts:
        taken = accounts.give_password(user, device, datetime.now(UTC))
    made = NewDevicePassword(taken.device.aor.removeprefix("sip:"), device, taken.login, taken.password)
    if as_json:
        say_json(made)
        return
    tell_users_changed(place)
    say(f"The device {device} of {made.user} may log in. The password is shown only now:", style=GOOD)
    say_document(f"  authentication name  {made.login}\n  password             {made.password}\n")
