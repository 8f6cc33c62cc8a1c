"""One device's configuration file: TOML in, frozen dataclasses out. Opens no socket and keeps no state.

```toml
role = "SmartMeter"                  # InformationSystem, SubstationController, SmartMeter, Appliance
name = "Kitchen"                     # what people call it
identity = "urn:uuid:…"              # without: made once and kept in the store
interfaces = ["eth1"]                # by name, each with its IPv4, IPv6 and link-local address; "*": all of them
addresses = ["10.1.0.7"]             # literal, before those; of equally suitable ones the first is used
watch = 5                            # seconds between two looks at which of them are there; 0: only at the start
udp_port = 0                         # 0: the system chooses
http_port = 8080
scopes = ["grid://city/ssc-1/sm-7"]  # its place; its parent's place is the scope above the first one
seeds = ["http://10.1.0.1:8080/Peers"]        # Peer Services to enrol with where multicast does not reach
peer_service = "http://10.1.0.1:8080/Peers"   # where its own Peer Service lives, when not on the device
store = "meter.sqlite"               # keeps tariff, identity and boot counter
key = "meter.key"                    # what it signs with; without one it never originates
trust = "trust.toml"                 # whom it believes: see gossip_ws.security.trust_file
security = "development"             # or this instead of trust: believes everybody, signs nothing
stylesheets = true                   # runs XSLT filters of those it trusts

[discovery]                          # WS-Discovery by multicast; enabled = false turns it off, and
generations = ["1.1", "2005/04"]     # in which it says Hello and Bye: without, both; it answers in both
proxy = "http://10.1.0.2:8081/proxy" # a discovery proxy that is told as well, and asked first
[gossip]                             # local caps and times: fields of gossip_ws.core.config.NodeConfig; and
peer_selection = "gradient"          # shuns congested links among equals; without, "uniform"
view_scopes = ["grid://city/ssc-1"]  # among whose equals it keeps neighbours: without, all; [], none
[demand]                             # what it uses every day: energy_wh, or a profile of a grid; and
limit_wh = 5000                      # more than that in 8 hours is a DemandAlarm to whoever subscribed
[measured]                           # voltage, phase_angle, power
[[task]]                             # a run of an appliance that a tariff may move
[meter]                              # display = FILE, webhook = URL: a meter hands a tariff on
```

Paths are relative to the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from gossip_ws.core.config import MAX_VIEWS, PeerSelection
from gossip_ws.core.peers import Role
from gossip_ws.devices.choice import Choice
from gossip_ws.devices.config_energy import Energy, read_energy
from gossip_ws.devices.toml import Table
from gossip_ws.dpws.messages import Generation
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import DeviceId
from gossip_ws.net.interfaces import packed, present, require
from gossip_ws.net.multicast import Group
from gossip_ws.security.authority import Trust
from gossip_ws.security.keys import PrivateKey
from gossip_ws.security.trust_file import load_trust

DEVELOPMENT: Final = "development"
WATCH: Final = 5.0
"""Seconds between two looks at the addresses, of a millisecond each: an address that comes is used soon enough."""
_WHOLE: Final = {
    "max_fanout": 64,
    "max_rounds": 32,
    "peer_limit": 65_536,
    "peers_per_host": 65_536,
    "query_limit": 1_024,
    "store_limit": 256,
    "seen_limit": 1_000_000,
    "retries": 32,
}
"""Fields of NodeConfig that a file may set, and the most that each may be."""
_SECONDS: Final = {
    "max_lifetime": 604_800.0,
    "lease": 604_800.0,
    "peers_max_age": 604_800.0,
    "pull_period": 86_400.0,
    "price_period": 3_600.0,
    "retry_first": 60.0,
    "retry_longest": 600.0,
    "probe_quiet": 3_600.0,
    "suspicion": 3_600.0,
    "shuffle_period": 86_400.0,
}


@dataclass(frozen=True, slots=True)
class Security:
    """`trust` of None is development mode: everybody is believed. `key`: what the device signs with."""

    trust: Trust | None = None
    key: PrivateKey | None = None


@dataclass(frozen=True, slots=True)
class HandOn:
    """Where a meter hands a tariff on to: a JSON file for a display, and a URL that is sent the SetTariff."""

    display: Path | None = None
    webhook: Address | None = None


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One device. `addresses`: this machine's; `interfaces`: by name, or "*", with what addresses they have;
    `watch`: seconds between two looks at them, 0 for none but the first. `discovery` of None: no multicast.
    `announce`: in which generations it says Hello. `proxy`: a discovery proxy. `node`: fields of NodeConfig that
    differ from the defaults."""

    role: Role
    addresses: tuple[str, ...]
    scopes: tuple[str, ...]
    security: Security
    name: str = ""
    identity: DeviceId | None = None
    udp_port: int = 0
    http_port: int = 0
    seeds: tuple[Address, ...] = ()
    peer_service: Address | None = None
    store: Path | None = None
    stylesheets: bool = True
    discovery: Group | None = None
    announce: tuple[Generation, ...] = tuple(Generation)
    proxy: Address | None = None
    node: dict[str, Any] = field(default_factory=dict)
    energy: Energy = field(default_factory=Energy)
    hand_on: HandOn = HandOn()
    interfaces: tuple[str, ...] = ()
    watch: float = WATCH

    @property
    def choice(self) -> Choice:
        """Which of this machine's addresses are the device's."""
        return Choice(self.addresses, self.interfaces)


def load_config(file: Path) -> DeviceConfig:
    """Read a device's file. Raises LocalError, one line that names the file and the key: an unknown key, a wrong
    type, an address that is not this machine's, a key or trust file that cannot be read."""
    top = Table.load(file)
    role = top.read("role", Role)
    if role is None:
        top.fail("role", f"missing: one of {', '.join(Role)}")
    scopes = top.each("scopes", _scope)
    if not scopes:
        top.fail("scopes", "missing: a device has a place")
    choice = _choice(top)
    identity, store = top.read("identity", _identity), top.path("store")
    if identity is None and store is None:
        top.fail("identity", "missing: give one, or a store that keeps the one that is made")
    discovery, announce, proxy = _discovery(top)
    config = DeviceConfig(
        role=role,
        addresses=choice.literals,
        scopes=scopes,
        security=_security(top),
        name=top.text("name", ""),
        identity=identity,
        udp_port=top.integer("udp_port", 0, most=65_535),
        http_port=top.integer("http_port", 0, most=65_535),
        seeds=top.each("seeds", _http),
        peer_service=top.read("peer_service", _http),
        store=store,
        stylesheets=top.flag("stylesheets", True),
        discovery=discovery,
        announce=announce,
        proxy=proxy,
        node=_node(top),
        energy=read_energy(top, role),
        hand_on=_hand_on(top, role),
        interfaces=choice.interfaces,
        watch=_watch(top),
    )
    top.end()
    return config


def _choice(top: Table) -> Choice:
    """Raises LocalError for what this machine does not have now; later it may come and go."""
    choice = Choice(top.each("addresses", _own), top.texts("interfaces"))
    known = present()
    for name in choice.interfaces:
        if not Choice(interfaces=(name,)).of(known):
            there = ", ".join(dict.fromkeys(one.interface for one in known))
            top.fail("interfaces", f"no interface {name!r} with an address (there are {there or 'none'})")
    if choice == Choice():
        top.fail("addresses", "missing: an address, or an interface in interfaces")
    return choice


def _watch(top: Table) -> float:
    seconds = top.number("watch", WATCH, least=0.0, most=3_600.0)
    if 0.0 < seconds < 0.1:
        top.fail("watch", f"at least 0.1 s, or 0, not {seconds:g}")
    return seconds


def _own(value: str) -> str:
    require(value)
    return value


def _scope(value: str) -> str:
    if ":" not in value or any(character.isspace() for character in value):
        raise LocalError(f"not a URI: {value!r}")
    return value


def _identity(value: str) -> DeviceId:
    digits = value.removeprefix("urn:uuid:")
    try:
        if digits == value or str(UUID(digits)) != digits.lower():
            raise ValueError
    except ValueError:
        raise LocalError(f"not a urn:uuid: {value!r}") from None
    return DeviceId(value)


def _http(value: str) -> Address:
    address = Address.parse(value)
    if address.binding is not Binding.HTTP:
        raise LocalError(f"not an http address: {value!r}")
    return address


def _security(top: Table) -> Security:
    mode = top.text("security", "")
    key = top.path("key")
    trust = top.path("trust")
    if mode not in ("", DEVELOPMENT):
        top.fail("security", f'"{DEVELOPMENT}" is the only mode with a name, not {mode!r}')
    if mode and (trust or key):
        top.fail("security", "development mode has neither key nor trust")
    if not mode and trust is None:
        top.fail("trust", f'missing: a trust file, or security = "{DEVELOPMENT}"')
    try:
        held = PrivateKey.load(key) if key is not None else None
    except LocalError as error:
        top.fail("key", str(error))
    try:
        return Security(load_trust(trust) if trust is not None else None, held)
    except LocalError as error:
        top.fail("trust", str(error))


def _discovery(top: Table) -> tuple[Group | None, tuple[Generation, ...], Address | None]:
    table = top.table("discovery") or Table({}, top.file, "discovery.")
    enabled = table.flag("enabled", True)
    group = Group(
        host=table.text("group", Group().host),
        port=table.integer("port", Group().port, least=1, most=65_535),
        host6=table.text("group6", Group().host6),
    )
    octets = packed(group.host)
    if octets is None or len(octets) != 4 or not 224 <= octets[0] < 240:
        table.fail("group", f"not an IPv4 multicast address: {group.host!r}")
    octets6 = packed(group.host6)
    if octets6 is None or len(octets6) != 16 or octets6[0] != 0xFF or octets6[1] & 0xF != 2:
        table.fail("group6", f"not an IPv6 multicast address of the scope of a link: {group.host6!r}")
    announce = tuple(dict.fromkeys(table.each("generations", Generation))) or tuple(Generation)
    proxy = table.read("proxy", _http)
    if proxy is not None and not enabled:
        table.fail("proxy", "a device that takes no part in discovery has none")
    table.end()
    return group if enabled else None, announce, proxy


def _node(top: Table) -> dict[str, Any]:
    table = top.table("gossip")
    if table is None:
        return {}
    found: dict[str, Any] = {name: table.integer(name, most=most) for name, most in _WHOLE.items() if name in table}
    found |= {name: table.number(name, least=0.001, most=most) for name, most in _SECONDS.items() if name in table}
    if "peer_selection" in table:
        found["peer_selection"] = table.read("peer_selection", PeerSelection)
    if "view_scopes" in table:
        found["view_scopes"] = table.each("view_scopes", _scope)
        if len(found["view_scopes"]) > MAX_VIEWS:
            table.fail("view_scopes", f"more than {MAX_VIEWS}")
    table.end()
    return found


def _hand_on(top: Table, role: Role) -> HandOn:
    table = top.table("meter")
    if table is None:
        return HandOn()
    if role is not Role.METER:
        top.fail("meter", f"a {role} hands no tariff on: a SmartMeter does")
    found = HandOn(table.path("display"), table.read("webhook", _http))
    table.end()
    return found
