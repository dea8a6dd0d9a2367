"""What phones do of their own accord: messages, calls, registrations, lies; drawn from the seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from simulation.organisations import PARTNER_USER, SPOKEN_FOR, USERS
from simulation.strangers import Strangers
from support.network import EXAMPLE, PARTNER

if TYPE_CHECKING:
    from simulation.phone import Phone
    from simulation.world import World

EVERY_S: Final = 0.15
"""What a run costs is nearly the same with ten times as many messages: most of it are the timers of the servers."""

MOVES: Final = 0.4
"""How often a phone moves that might: calls and registrations have to last for some time."""

BRIEF_S: Final = 60
"""The shortest registration that servers grant."""

HIDDEN: Final = 0.15
"""How often a caller or a sender hides."""

QUIET: Final = 1 / 60
"""How often all phones pause after one phone has acted, in every second run."""

LONGEST_PAUSE_S: Final = 16.0
"""Long enough that messages expire, and users come back, while no other message is stored."""

ANSWERED_S: Final = 8.0
"""In calm, a message to a user who is registered is answered within this time."""


class Traffic:
    """Lets one phone after the other do something, as long as *going* is set. In *calm*, messages have to arrive."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.going = self.calm = False
        self._chance = random.Random(f"{world.seed} traffic")
        self._has_pauses = self._chance.random() < 0.5
        self._acts = (
            *([self._message] * 9),
            *([self._call] * 4),
            *([self._lie] * 2),
            self._say_twice,
            self._ask_options,
            self._register_a_stranger,
            *([self._register_anew, self._reconnect, self._leave, self._register_and_go, self._register_briefly]),
            *([self._say_again] * 2),
            *([self._write_to_somebody_away] * 4),
        )
        self._of_movers = (
            *(self._register_anew, self._reconnect, self._leave, self._register_and_go, self._register_briefly),
        )

    def begin(self) -> None:
        """Start."""
        self.going = True
        self._next()

    def _next(self) -> None:
        if not self.going:
            return
        # the same draws in all cases, so that a run without some faults stays close to the run with them
        phone, act = self._chance.choice(self.world.phones), self._chance.choice(self._acts)
        target, draw = self._aor(), self._chance.random()
        if act in self._of_movers:
            is_held = phone.stays or phone.is_brief or draw >= MOVES
            act, draw = self._ask_options if is_held else act, draw / MOVES
        if phone.up:
            act(phone, target, draw)
        self.world.loop.call_later(EVERY_S * 2 * self._chance.random() + self._pause_s(), self._next)

    def _pause_s(self) -> float:
        """Draw how long no phone acts of its own accord now."""
        if self._chance.random() >= QUIET or not self._has_pauses or self.calm:
            return 0.0
        return LONGEST_PAUSE_S * self._chance.random()

    def _aor(self) -> str:
        """Choose to whom."""
        users = [f"sip:{user}@{EXAMPLE}" for user in USERS]
        return self._chance.choice([*users, f"sip:{PARTNER_USER}@{PARTNER}"])

    def _message(self, phone: Phone, target: str, draw: float) -> None:
        if phone.aor.endswith(f"@{SPOKEN_FOR}") and target.endswith(PARTNER):
            return
        sent = phone.request("MESSAGE", target, hides=self._may_hide(phone, target) and draw < HIDDEN)
        if sent is not None and self.calm and self._is_online(target):
            self.world.loop.call_later(ANSWERED_S, self.world.checks.must_be_answered, phone, sent, phone.sock)

    def _is_online(self, aor: str) -> bool:
        """Whether each device of a user is registered, so that a message must arrive."""
        devices = [phone for phone in self.world.phones if phone.aor == aor]
        return bool(devices) and all(phone.is_registered for phone in devices)

    def _call(self, phone: Phone, target: str, draw: float) -> None:
        phone.request("INVITE", target, hides=self._may_hide(phone, target) and draw < HIDDEN)

    def _may_hide(self, phone: Phone, target: str) -> bool:
        """Tell whether a phone may hide from *target*: a partner refuses hidden senders, and an application is known."""
        return not phone.chain and not target.endswith(PARTNER) and phone.domain != PARTNER

    def _lie(self, phone: Phone, target: str, draw: float) -> None:
        """Claim to be another user, in From or in P-Asserted-Identity."""
        victim = self._chance.choice([f"sip:{user}@{EXAMPLE}" for user in USERS])
        if draw < 0.5:
            phone.request("MESSAGE", target, claims=victim)
        else:
            phone.request("MESSAGE", target, headers=(("p-asserted-identity", f"<{victim}>"),))

    def _say_twice(self, phone: Phone, target: str, _draw: float) -> None:
        """Send the same request twice in one write: the second one is a retransmission (RFC 3261 17.2)."""
        phone.request("MESSAGE", target, twice=True)

    def _ask_options(self, phone: Phone, _target: str, _draw: float) -> None:
        phone.request("OPTIONS", f"sip:{phone.domain}")

    def _register_a_stranger(self, phone: Phone, _target: str, draw: float) -> None:
        """Ask for the challenge to a name that no user has, as an attacker does who looks for users."""
        aor = Strangers.name(draw)
        if phone.domain == EXAMPLE and not phone.chain:
            phone.request("REGISTER", f"sip:{EXAMPLE}", to=aor, claims=aor)

    def _register_anew(self, phone: Phone, _target: str, _draw: float) -> None:
        """Unregister, and register again some seconds later."""
        if not phone.chain and phone.registered_at:
            phone.register(expires_s=0)
            self.world.loop.call_later(4.0, phone.register)

    def _register_and_go(self, phone: Phone, _target: str, draw: float) -> None:
        """Unregister, and end the link at the moment at which the next registration is stored."""
        if not phone.chain and phone.registered_at:
            phone.register(expires_s=0)
            after_s = 0.012 * draw if draw < 0.7 else 6.0 * (draw - 0.7)
            self.world.loop.call_later(1.0, phone.register)
            self.world.loop.call_later(1.0 + after_s, phone.hang_up, "the user moves")

    def _register_briefly(self, phone: Phone, _target: str, _draw: float) -> None:
        """Let a registration run out while the link stays, and register again some seconds later."""
        if not phone.chain and phone.registered_at and not self.calm and not self.world.is_settling:
            phone.register_briefly(BRIEF_S)

    def _leave(self, phone: Phone, _target: str, draw: float) -> None:
        """Stay away for a while, with all devices; messages are stored meanwhile."""
        if not phone.chain and not self.calm and not self.world.is_settling:
            for device in self.world.phones:
                if device.aor == phone.aor:
                    device.leave(2.0 + 25.0 * draw)

    def _somebody_away(self) -> str:
        """Choose a user without a device that is up; "" if there is none."""
        here = {phone.aor for phone in self.world.phones if phone.up}
        away = [aor for aor in sorted({phone.aor for phone in self.world.phones if not phone.chain}) if aor not in here]
        return self._chance.choice(away) if away else ""

    def _write_to_somebody_away(self, phone: Phone, _target: str, draw: float) -> None:
        """Send some messages to one user who is away; some expire soon."""
        target = self._somebody_away()
        if not target or (phone.aor.endswith(f"@{SPOKEN_FOR}") and target.endswith(PARTNER)):
            return
        for _ in range(1 + int(4 * draw)):
            expires = (("expires", str(3 + int(20 * draw))),) if self._chance.random() < 0.35 else ()
            phone.request("MESSAGE", target, headers=expires)

    def _say_again(self, phone: Phone, _target: str, _draw: float) -> None:
        """Send a message to a user who is away, and again in a new transaction, as a phone does that has got no answer."""
        target = self._somebody_away()
        sent = phone.request("MESSAGE", target) if target and not target.endswith(PARTNER) else None
        if sent is not None:
            self.world.loop.call_later(0.7, phone.send_again, sent, phone.sock)

    def _reconnect(self, phone: Phone, _target: str, _draw: float) -> None:
        phone.hang_up("the user moves")
