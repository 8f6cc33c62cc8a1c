"""Asks an event source everything: subscriptions that it takes, and those that it has to refuse. Ends them all."""

from __future__ import annotations

from typing import Final

from gossip_ws.conform import frames
from gossip_ws.conform.evidence import EventsSeen, ServiceSeen, Subscription
from gossip_ws.conform.frames import WSE, Asked
from gossip_ws.conform.http import Exchange, post
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import WSA, qname

_MAX_PARAMETERS: Final = 16


async def ask_events(service: ServiceSeen, sink: str, within: float) -> EventsSeen:
    """`service` has a contract with an event source; `sink` takes notifications. Each exchange has `within` seconds."""
    source = _Source(service.address, within)
    to, nowhere = service.address, f"{frames.NOWHERE}:nowhere"
    contract = service.contract
    actions = [action for action in (contract.outputs if contract is not None else ()) if action][:1]
    filtered = await source.subscribe(frames.subscribe(to, sink, actions=actions)) if actions else None
    if filtered is not None and filtered.manager:
        subscribed = filtered
    else:
        actions = []
        subscribed = await source.subscribe(frames.subscribe(to, sink))
    seen = EventsSeen(
        filtered=filtered,
        subscribed=subscribed,
        mode=await source.subscribe(frames.subscribe(to, sink, actions=actions, mode=f"{frames.NOWHERE}:mode")),
        dialect=await source.subscribe(
            frames.subscribe(to, sink, actions=["true()"], dialect=f"{frames.NOWHERE}:dialect")
        ),
        nothing=await source.subscribe(frames.subscribe(to, sink, actions=[f"{frames.NOWHERE}:NoSuchAction"])),
        no_address=await source.subscribe(frames.subscribe(to, nowhere, actions=actions)),
        no_end=await source.subscribe(frames.subscribe(to, sink, actions=actions, end_to=nowhere)),
        no_time=await source.subscribe(frames.subscribe(to, sink, actions=actions, expires="PT0S")),
    )
    held = seen.subscribed
    if held.manager:
        at, parameters = held.manager, held.parameters
        seen.renewed = await source.ask(at, frames.renew(at, parameters, "PT2M"))
        seen.status = await source.ask(at, frames.get_status(at, parameters))
        seen.unsubscribed = await source.ask(at, frames.unsubscribe(at, parameters))
        seen.gone_status = await source.ask(at, frames.get_status(at, parameters))
        seen.gone_renew = await source.ask(at, frames.renew(at, parameters, "PT1M"))
    for stray in (seen.mode, seen.dialect, seen.nothing, seen.no_address, seen.no_end, seen.no_time):
        if stray.manager:
            await source.ask(stray.manager, frames.unsubscribe(stray.manager, stray.parameters))
    return seen


class _Source:
    def __init__(self, address: str, within: float) -> None:
        self._address = address
        self._within = within

    async def ask(self, to: str, asked: Asked) -> Exchange:
        try:
            address = Address.parse(to)
        except LocalError as error:
            return Exchange(asked.message_id, error=str(error))
        return await post(address, asked.frame, asked.message_id, within=self._within)

    async def subscribe(self, asked: Asked) -> Subscription:
        exchange = await self.ask(self._address, asked)
        message = exchange.message
        if message is None or message.payload is None or message.payload.tag != qname(WSE, "SubscribeResponse"):
            return Subscription(exchange)
        manager = message.payload.find(qname(WSE, "SubscriptionManager"))
        expires = (message.payload.findtext(qname(WSE, "Expires")) or "").strip()
        if manager is None:
            return Subscription(exchange, expires=expires)
        address = (manager.findtext(qname(WSA, "Address")) or "").strip()
        parameters = manager.find(qname(WSA, "ReferenceParameters"))
        blocks = frames.as_headers(list(parameters)[:_MAX_PARAMETERS]) if parameters is not None else b""
        return Subscription(exchange, address, blocks, expires)
