"""The bindings of our users: registered on a link of this server, shared with the pool, gone with the link.

A REGISTER that changes what other servers see is answered once the store has it. A refresh is answered at once: what it
changes, the end of the row, is the business of the server that has the link. That server counts the time by a clock that is
never set, so that no row ends because somebody sets the clock of a machine.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.routing.registrar.granted import GruuMint, offers
from sipmesh.routing.registrar.gruu import NONCE_BYTES, Gruus
from sipmesh.routing.registrar.refresh import KnownRefresh, known_refresh
from sipmesh.routing.registrar.registrar import (
    Binding,
    BindingKey,
    FlowFacts,
    RegistrarAnswer,
    RegistrarLimits,
    decide,
    is_refresh,
)
from sipmesh.server.proxy.flow import Flow, ProxiedRequest
from sipmesh.server.proxy.registrar.binding_lookups import BindingLookups, Then
from sipmesh.server.proxy.registrar.known_bindings import KnownBindings
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.sip.date import sip_date
from sipmesh.sip.message import Request, Response, respond
