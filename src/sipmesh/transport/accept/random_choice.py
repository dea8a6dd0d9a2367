"""Which process of a server gets a connection to a port that they share: the kernel draws one at random.

By default the kernel takes the hash of both addresses and ports (SO_REUSEPORT). It is the same each time: an attacker
who has found out which source ports lead to one process could put all its connections there, and have all new phones of
that process wait.
"""

from __future__ import annotations

import socket
from array import array
from contextlib import suppress
from struct import Struct
from typing import Final

SO_ATTACH_REUSEPORT_CBPF: Final = 51  # asm-generic/socket.h; the module socket has no name for it

_INSTRUCTION: Final = Struct("=HBBI")  # struct sock_filter: code, two jumps, operand
_PROGRAM: Final = Struct("@HP")  # struct sock_fprog: number of instructions, and their address

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_RANDOM: Final = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM
_MODULO: Final = 0x94  # BPF_ALU | BPF_MOD | BPF_K
_RETURN: Final = 0x16  # BPF_RET | BPF_A


def choose_at_random(sock: socket.socket, count: int) -> None:
    """Have the kernel draw one of the *count* sockets of a port for each connection; *sock* is one of them, and listens.

    It counts for all of them, also for those that listen later. While fewer listen, a number that none has leads to the hash.
    """
    steps = ((_LOAD, _RANDOM), (_MODULO, count), (_RETURN, 0))
    code = array("B", b"".join(_INSTRUCTION.pack(step, 0, 0, operand) for step, operand in steps))
    # The kernel reads the memory of `code`. Compiled code would have freed it by then: hatch_build.py leaves this module out.
    with suppress(OSError):  # a kernel before Linux 4.6, or none that knows it: the hash decides
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, _PROGRAM.pack(len(steps), code.buffer_info()[0]))
