"""The validations that are under way: each in a task of its own, a bounded number at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sipmesh.errors import SipmeshError
from sipmesh.server.enrolment.acme.challenges import Challenge, validate
from sipmesh.server.enrolment.acme.order_requests import key_authorization
from sipmesh.server.enrolment.enrollable import enrollable
from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.server.process.off_loop import off_loop
from sipmesh.storage.enrolment.acme_orders import AcmeOrder, ChallengeStatus, OrderStatus
from sipmesh.topology.document.parts.enrolment import EnrolmentProtocol

if TYPE_CHECKING:
    from sipmesh.server.enrolment.enrolment_host import EnrolmentHost
    from sipmesh.storage.enrolment.acme_accounts import AcmeAccount

MOST: Final = 16
"""Validations at a time; a client whose validation has to wait asks again, and it begins then."""


class Validations:
    """Validates challenges on *host*."""

    def __init__(self, host: EnrolmentHost) -> None:
        self._host = host
        self._tasks = dict[str, asyncio.Task[None]]()

    def begin(self, order: AcmeOrder, account: AcmeAccount) -> None:
        """Begin to validate the challenge that was chosen, unless that is under way, or too many are."""
        if order.id in self._tasks or len(self._tasks) >= MOST:
            return
        task = self._tasks[order.id] = asyncio.get_running_loop().create_task(self._validate(order, account))
        task.add_done_callback(lambda _: self._tasks.pop(order.id, None))

    async def close(self) -> None:
        """End what is under way; it begins again when its client asks again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _validate(self, order: AcmeOrder, account: AcmeAccount) -> None:
        """Validate, and store what was found; an order that was changed meanwhile stays as it is."""
        try:
            found = await self._outcome(order, account)
            await off_loop(self._host.management_db.acme_orders.change, order, found)
        except SipmeshError as wrong:
            self._host.log.warning("challenge not stored", peer=order.server, why=str(wrong))

    def _challenge(self, order: AcmeOrder, account: AcmeAccount) -> Challenge:
        """Return what is to be validated, by the topology in force; raises `SipmeshError`."""
        view, enrolment = self._host.view(), self._host.enrolment
        if enrolment is None:
            raise AcmeProblemError("serverInternal", "the topology has no enrolment any more")
        entry, answer = enrollable(view, order.server), key_authorization(order, account)
        return Challenge(entry, order.token, answer, enrolment, view)

    async def _outcome(self, order: AcmeOrder, account: AcmeAccount) -> AcmeOrder:
        try:
            await validate(order.chosen, self._challenge(order, account))
        except AcmeProblemError as wrong:
            kind, detail = wrong.kind, wrong.detail
        except SipmeshError as wrong:
            kind, detail = "unauthorized", str(wrong)
        else:
            return replace(order, status=OrderStatus.READY, challenge=ChallengeStatus.VALID, validated=self._host.now())
        self._host.refused(EnrolmentProtocol.ACME, "challenge", order.server, detail)
        return replace(order, status=OrderStatus.INVALID, challenge=ChallengeStatus.INVALID, fault=kind, detail=detail)
