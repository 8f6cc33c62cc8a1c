"""Loss and cuts on purpose, between an endpoint and any Network. Knows no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Priority
from gossip_ws.ports import Frame, Handle, Network, Request, Respond, Response


def _nobody(other: Address) -> bool:
    return False


class Lossy:
    """A Network that loses each outgoing datagram with `probability`; HTTP is left alone, as TCP repairs it. Between
    this device and those that are `apart` from it nothing gets through, either way and by either binding.

    `lost` and `cut` count. One multicast is one datagram: it reaches everybody or nobody, whoever is apart.
    """

    def __init__(
        self, network: Network, probability: float, dice: Dice, *, apart: Callable[[Address], bool] = _nobody
    ) -> None:
        if not 0 <= probability <= 1:
            raise LocalError(f"a probability is from 0 to 1: {probability}")
        self.network = network
        self.lost = 0
        self.cut = 0
        self._probability = probability
        self._dice = dice
        self._apart = apart

    def send(self, frame: Frame, to: Address) -> None:
        if self._reaches(to) and (to.binding is not Binding.UDP or self._survives()):
            self.network.send(frame, to)

    def backlog(self, priority: Priority) -> float:
        return self.network.backlog(priority)

    def multicast(self, frame: Frame) -> None:
        if self._survives():
            self.network.multicast(frame)

    def request(self, frame: Frame, to: Address, timeout: float, done: Callable[[Frame | None], None]) -> None:
        if self._reaches(to):
            self.network.request(frame, to, timeout, done)
        else:
            # As where a router says that there is no way.
            asyncio.get_running_loop().call_soon(done, None)

    def handling(self, handle: Handle) -> Handle:
        """`handle` with the same loss on the datagrams it responds with, and nothing from who is apart."""

        def lossy(request: Request, respond: Respond) -> None:
            if not self._reaches(request.caller.source):
                return

            def respond_or_lose(response: Response) -> None:
                if not response.body or self._survives():
                    respond(response)

            over_udp = request.caller.source.binding is Binding.UDP
            handle(request, respond_or_lose if over_udp else respond)

        return lossy

    def _reaches(self, other: Address) -> bool:
        if self._apart(other):
            self.cut += 1
            return False
        return True

    def _survives(self) -> bool:
        if self._dice.random() < self._probability:
            self.lost += 1
            return False
        return True
