"""`gossip-ws subscribe`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from lxml import etree

from gossip_ws.devices import cli_output as output
from gossip_ws.devices.finding import EventSource, find_again, find_events
from gossip_ws.devices.subscriber import EXPIRES, Elsewhere, Event, Subscriber, own_address
from gossip_ws.dpws.eventing import BY_GOSSIP
from gossip_ws.kernel.errors import LocalError

_DEPTH: Final = 32


@click.command(
    epilog="""\b
Example:
  gossip-ws subscribe http://10.1.0.7:8080 --event TariffChanged
  gossip-ws subscribe http://10.1.0.7:8080 --event DemandAlarm --json
  gossip-ws subscribe http://10.1.0.1:8080 --event TariffChanged --via http://10.1.0.7:8080 \\
      --user dispatcher --password-file password.txt
"""
)
@click.argument("url")
@click.option("--event", "names", multiple=True, help="Its name in the WSDL; all that there are without it.")
@click.option("--via", default="", help="A device near by: gossip brings the events there, and it tells them.")
@click.option("--scope", "scopes", multiple=True, help="With --via: where gossip goes; everywhere without it.")
@click.option("--expires", type=output.Number(1, 604_800), default=EXPIRES, show_default=True, help="Seconds.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many events; without, when interrupted.")
@output.credentials
@output.as_json
def subscribe(
    url: str,
    names: Sequence[str],
    via: str,
    scopes: Sequence[str],
    expires: float,
    count: int | None,
    user: str,
    password_file: Path | None,
    as_json: bool,
) -> None:
    """Print the events of the device at URL (its address, or a hosted service's), a line each, until interrupted.

    The subscription is renewed in time, and made again when the device has been away, or is at another address of the
    same link. Given a hosted service's URL it is looked for there only.
    """
    if scopes and not via:
        raise LocalError("--scope says where gossip goes: it needs --via")
    password = output.password(password_file, user)

    def show(event: Event) -> None:
        if as_json:
            output.say_json(_object(event))
        else:
            click.echo(_line(event))

    async def run() -> None:
        stop, seen = asyncio.Event(), 0
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)

        def heard(event: Event) -> None:
            nonlocal seen
            if count is None or seen < count:
                show(event)
            seen += 1
            if seen == count:
                stop.set()

        subscriber = Subscriber(
            own_address(via or url), heard, lambda line: click.echo(line, err=True), expires=expires
        )
        await subscriber.open()
        try:
            await _subscribe(subscriber, url, names, via, tuple(scopes), user, password)
            output.Progress().say("subscribed")
            await stop.wait()
        finally:
            output.Progress().clear()
            await subscriber.close()

    asyncio.run(run())


async def _subscribe(
    subscriber: Subscriber, url: str, names: Sequence[str], via: str, scopes: tuple[str, ...], user: str, password: str
) -> None:
    sources = await find_events(url, names)
    if not via:
        for one in sources:
            await subscriber.subscribe(one.address, _actions(one), elsewhere=_elsewhere(one, url))
        return
    events = tuple(name for one in sources for name in one.events)
    for one in await find_events(via, events):
        if not one.shadow:
            raise LocalError(f"gossip brings no events to {one.address}: name a device by its address")
        # First where they come in: nothing that is gossiped from now on is missed.
        await subscriber.subscribe(one.shadow, _actions(one), elsewhere=_elsewhere(one, via, shadow=True))
    for one in sources:
        await subscriber.subscribe(
            one.address,
            _actions(one),
            mode=BY_GOSSIP,
            scopes=scopes,
            user=user,
            password=password,
            named=url,
            elsewhere=_elsewhere(one, url),
        )


def _elsewhere(source: EventSource, url: str, *, shadow: bool = False) -> Elsewhere | None:
    """Where the source, or its shadow, is later on; None when nobody knows whose it is."""

    async def now() -> str:
        # To look up a name may take seconds, in which events are to be heard.
        host = await asyncio.to_thread(own_address, url)
        found = await find_again(source, url, host)
        return found.shadow if shadow else found.address

    return now if source.device else None


def _actions(source: EventSource) -> tuple[str, ...]:
    return tuple(source.events.values())


def _object(event: Event) -> dict[str, Any]:
    name = etree.QName(event.payload).localname if event.payload is not None else ""
    return {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "event": name,
        "action": event.action,
        "source": event.source,
        "body": _value(event.payload) if event.payload is not None else None,
    }


def _value(element: etree._Element, depth: int = 0) -> Any:
    """Text of a leaf; of others an object by name, a list where a name stands more than once."""
    if not len(element) or depth == _DEPTH:
        return (element.text or "").strip()
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(etree.QName(child).localname, []).append(_value(child, depth + 1))
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def _line(event: Event) -> str:
    told = _object(event)
    return " ".join([told["at"], told["event"] or event.action, *_flat("", told["body"])])


def _flat(name: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return [one for key, part in value.items() for one in _flat(f"{name}.{key}" if name else key, part)]
    if isinstance(value, list):
        return [one for number, part in enumerate(value) for one in _flat(f"{name}[{number}]", part)]
    return [f"{name}={' '.join(value.split())}"] if value else []
