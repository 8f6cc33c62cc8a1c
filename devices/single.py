"""One configured device, running: its memory, keys, listeners and what its role adds, from start to Bye.

Knows no file format and no command line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import uuid4

from gossip_ws.core.peers import Role
from gossip_ws.devices import ied, information_system, smart_meter, substation
from gossip_ws.devices.config import DeviceConfig
from gossip_ws.devices.host import Host, HostSettings
from gossip_ws.devices.running import run_until_told
from gossip_ws.devices.store import SqliteStore
from gossip_ws.endpoint.discovery import Listener
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.filters.runner import AsyncRunner
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import DeviceId
from gossip_ws.net.clock import LoopClock
from gossip_ws.net.interfaces import present
from gossip_ws.net.multicast import Group, Multicast
from gossip_ws.ports import Store, Verifier
from gossip_ws.security.development import DevelopmentVerifier
from gossip_ws.security.verifier import TrustVerifier

_LOAD: Final = {
    Role.INFORMATION_SYSTEM: information_system.load,
    Role.SUBSTATION: substation.load,
    Role.METER: smart_meter.load,
    Role.APPLIANCE: ied.load,
}
_IDENTITY: Final = "identity"
_INSTANCE: Final = "instance"
_LAST_INSTANCE: Final = 2**32 - 1


class Single:
    """One device in this process. `open` it, `close` it, in one event loop's thread."""

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        self._store: SqliteStore | None = None
        self._multicast: Multicast | None = None
        self._runner: AsyncRunner | None = None
        self._host: Host | None = None

    @property
    def host(self) -> Host:
        """Raises LocalError before `open`."""
        if self._host is None:
            raise LocalError("the device is not open")
        return self._host

    async def open(self) -> None:
        """Listen, announce, enrol. Raises LocalError, with nothing left open, when something cannot be had."""
        try:
            await self._open()
        except BaseException:  # cancelled too: no socket or database may be left open
            await self.close()
            raise

    async def close(self) -> None:
        """Say Bye and let go of everything. May be called twice."""
        host, self._host = self._host, None
        if host is not None:
            await host.close()
        if self._multicast is not None:
            self._multicast.close()
        if self._runner is not None:
            self._runner.close()
        if self._store is not None:
            self._store.close()
            self._store = None

    async def _open(self) -> None:
        config = self.config
        clock = LoopClock()
        store = self._store = SqliteStore(config.store) if config.store is not None else None
        listener = self._listen(clock)
        if config.stylesheets:
            self._runner = AsyncRunner()
        host = Host(
            HostSettings(
                device=config.identity or identity(store),
                role=config.role,
                scopes=config.scopes,
                host=next(iter(config.addresses), ""),
                also=config.addresses[1:],
                interfaces=config.interfaces,
                watch=config.watch,
                udp_port=config.udp_port,
                http_port=config.http_port,
                group=config.discovery or Group(),
                seeds=config.seeds,
                peer_service=config.peer_service,
                discover=config.discovery is not None,
                announce=config.announce,
                proxy=config.proxy,
                incarnation=instance(store, clock.now().wall),
                friendly_name=config.name,
                node=config.node,
                demand_limit=config.energy.limit,
            ),
            _LOAD[config.role](config.energy),
            self._verifier(clock),
            FilterCombiner(self._runner),
            listener=listener,
            store=store,
            heard=self._multicast.follow if self._multicast is not None else None,
        )
        self._hand_on(host)
        self._host = host
        await host.open()

    def _listen(self, clock: LoopClock) -> Listener | None:
        if self.config.discovery is None:
            return None
        listener = Listener(clock)
        heard = [one.zoned for one in self.config.choice.of(present())]
        self._multicast = Multicast(heard, self.config.discovery)
        self._multicast.open(listener.receive)
        return listener

    def _verifier(self, clock: LoopClock) -> Verifier:
        security = self.config.security
        return DevelopmentVerifier() if security.trust is None else TrustVerifier(security.trust, security.key, clock)

    def _hand_on(self, host: Host) -> None:
        to = self.config.hand_on
        if to.display is not None:
            show = smart_meter.display(to.display)
            host.tariffs.listeners.append(show)
            if host.tariffs.current is not None:
                # The tariff may have been stored just before the power went.
                try:
                    show(host.tariffs.current)
                except OSError as error:
                    raise LocalError(f"cannot write {to.display}: {error.strerror}") from None
        if to.webhook is not None:
            host.tariffs.listeners.append(smart_meter.webhook(host.outward, to.webhook))


def identity(store: Store | None) -> DeviceId:
    """The `urn:uuid:` kept in `store`, made and put there the first time (DPWS 1.1 R0004 to R0006). Raises LocalError
    without a store: an identity that changes with each start is none."""
    if store is None:
        raise LocalError("an identity needs a store to be kept in")
    held = store.get(_IDENTITY)
    if held is None:
        held = uuid4().urn.encode()
        store.put(_IDENTITY, held)
    return DeviceId(held.decode())


def instance(store: Store | None, wall: float) -> int:
    """The instance id of this start: greater than at any start before, whatever the clock says (WS-Discovery 1.1
    section 7). Seconds since 1970, or one more than last time where the clock was set back or two starts share one."""
    number = min(int(wall), _LAST_INSTANCE)
    if store is None:
        return number
    held = store.get(_INSTANCE)
    if held is not None:
        number = min(max(number, int(held) + 1), _LAST_INSTANCE)
    store.put(_INSTANCE, b"%d" % number)
    return number


def run(config: DeviceConfig, ready: Callable[[Host], None]) -> None:
    """Run the device until SIGTERM or SIGINT; `ready` is called once it takes messages. Raises LocalError."""
    run_until_told(lambda: Single(config), lambda single: ready(single.host))
