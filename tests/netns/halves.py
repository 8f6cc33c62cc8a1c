"""Two halves of a WAN on hosts of their own, and between them a router whose links carry little: substations as
processes of the command line, all equals.

What passes is heard at the switch, so that no device has to say when a message came. Run as a program it measures how
long tariffs take to everybody, idle and congested, with peers chosen by chance alone and by price.
"""

from __future__ import annotations

import argparse
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import Request, urlopen

# Run as a program, nobody else has said where the helpers are: the folders are no packages.
sys.path.insert(0, str(Path(__file__).parents[1] / "devices"))
sys.path.insert(0, str(Path(__file__).parent))

from laboratory import Laboratory, Space, Subnet
from single_devices import SET_TARIFF, Running, asked, ready, spawn

from gossip_ws.core.config import PeerSelection
from gossip_ws.kernel.names import TARIFF
from gossip_ws.services.peer_client import GET_PEERS, get_peers_request
from gossip_ws.wire.envelope import Addressing, build, message_id

HTTP, UDP = 8080, 8081
WITHIN = 120.0
ANSWER = 60.0
"""Seconds that a push may take to be answered, on a machine with much other work."""
LATEST = 30.0
"""Seconds that are waited after the last message, for all of them: a digest or two bring what a push has missed."""
LOOK = 0.25
"""Seconds between two questions to all who do not know everybody yet."""
RATE = 1_000
BUSY = 0.1
"""kbit/s of each direction between the halves when they are limited, and what share of it others use."""
SETTLING = 20
"""Messages before those that are looked at: long enough for every way to be measured some times."""
PAUSE = 0.85
"""Seconds from one message to the next."""
_ALL = 3  # ETH_P_ALL: what a bridge forwards is none of the other protocols to who listens
_IP = 0x0800
_OUTGOING = 4
_TIMED = 35  # SO_TIMESTAMPNS; the socket module lacks it
_ENTRY = "10.71.0.1"
_OFFSET, _MORE = 0x1FFF, 0x20  # of an IP packet that is a part of a datagram: where it begins, whether more follow
_VERSION = b":version>"
_ACTION = re.compile(rb"Action[^<>]*>([^<]*)<")
_BANDS = "".join(
    f"<t:band><t:fromMinute>{180 * band}</t:fromMinute><t:toMinute>{180 * band + 180}</t:toMinute>"
    "<t:price>0.2</t:price></t:band>"
    for band in range(8)
)


@dataclass
class Heard:
    """What passed the switch. crossed: copies of a version on their way to the other half. octets: of packets on their
    way there, by what is in them. came: when each host was first handed a version."""

    crossed: Counter[int] = field(default_factory=Counter)
    octets: Counter[str] = field(default_factory=Counter)
    came: dict[int, dict[str, float]] = field(default_factory=dict)

    def last(self, version: int, hosts: int) -> float:
        """Seconds from the first of `hosts` that was handed it to the last; infinite while one was not."""
        times = sorted(self.came.get(version, {}).values())
        return times[-1] - times[0] if len(times) == hosts else inf


@dataclass(frozen=True)
class Stream:
    """What came of messages one after the other. crossed: copies that were sent to the other half, a message. last:
    seconds that each took to everybody, in order. rates: octets a second that were sent to the other half, both
    together, by what is in them."""

    crossed: float
    last: list[float]
    rates: dict[str, float]


class Ear:
    """Hears all tariffs that the switch forwards, in a thread of its own."""

    def __init__(self, switch: Space) -> None:
        with switch.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self._socket.setsockopt(socket.SOL_SOCKET, _TIMED, 1)
        self._socket.settimeout(0.2)
        self.heard = Heard()
        self._begun: dict[bytes, str] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._closed:
            with suppress(TimeoutError):
                packet, more, _, where = self._socket.recvmsg(2_048, 64)
                if where[1] == _IP and where[2] == _OUTGOING:
                    self._note(packet, more, where[0])

    def _note(self, packet: bytes, more: Sequence[tuple[int, int, bytes]], port: str) -> None:
        if port.startswith("router-"):
            self.heard.octets[self._kind(packet)] += int.from_bytes(packet[2:4], "big")
        at = packet.find(_VERSION)
        if at < 0 or packet[9] != socket.IPPROTO_UDP:
            return
        digits = packet[at + len(_VERSION) :].partition(b"<")[0]
        if not digits.isdigit():
            return
        version = int(digits)
        if port.startswith("router-"):
            self.heard.crossed[version] += 1
        elif port.startswith(("near-", "far-")):
            seconds, nanoseconds = struct.unpack("qq", more[0][2])
            self.heard.came.setdefault(version, {}).setdefault(port, seconds + nanoseconds / 1e9)

    def _kind(self, packet: bytes) -> str:
        """What is in it; of a datagram in several packets the first one tells."""
        if packet[9] == socket.IPPROTO_TCP:
            return "HTTP"
        datagram = packet[4:6] + packet[12:16]
        if int.from_bytes(packet[6:8], "big") & _OFFSET:
            kind = self._begun.get(datagram, "unknown")
            if not packet[6] & _MORE:
                self._begun.pop(datagram, None)
            return kind
        action = _ACTION.search(packet)
        if action is None:
            return "others'"
        kind = action[1].rpartition(b":")[2].decode()
        if packet[6] & _MORE:
            self._begun[datagram] = kind
        return kind


class Halves:
    """`each` devices on either side. `gossip`: other settings of that table. Open it, push, close it."""

    def __init__(self, folder: Path, each: int, selection: PeerSelection, **gossip: float) -> None:
        self._folder = folder
        self._gossip = {"price_period": 0.5, "peers_max_age": 4, **gossip}
        self._each = each
        self._selection = selection
        self._laboratory = Laboratory()
        self._running: dict[str, Running] = {}
        self._spaces: dict[str, Space] = {}
        self._version = 0
        self._noise: Noise | None = None
        self.ear: Ear | None = None

    def open(self) -> None:
        """Back when each device knows all others. Raises AssertionError, with who knows how many, when that takes
        longer than `WITHIN`."""
        names = {"is": (Subnet.WAN, 1)}
        names |= {f"near-{number}": (Subnet.WAN, number) for number in range(2, self._each + 1)}
        names |= {f"far-{number}": (Subnet.FAN, number) for number in range(1, self._each + 1)}
        for name, (subnet, number) in names.items():
            self._spaces[name] = self._laboratory.host(name, subnet, number)
            self._write(name, subnet.address(number))
        self._start("is")
        self._start(*(name for name in names if name != "is"))
        self._meet()
        self.ear = Ear(self._laboratory.switch)

    def close(self) -> None:
        """Raises AssertionError for what a device complained of."""
        if self._noise is not None:
            self._noise.close()
        if self.ear is not None:
            self.ear.close()
        complaints = []
        for running in self._running.values():
            running.process.kill()
            complaints.append(running.process.communicate()[1])
        self._laboratory.close()
        assert not any(complaints), complaints

    def limit(self, kbit: int, busy: float) -> None:
        """From now on the router carries so much each way, and others use a share of it."""
        self._laboratory.limit(kbit)
        if busy:
            self._noise = Noise(self._spaces["near-2"], self._spaces["far-2"], busy * kbit * 125)

    def push(self) -> int:
        """One more version of the tariff, by the entry; which one."""
        self._version += 1
        body = (
            f'<t:SetTariff xmlns:t="{TARIFF}"><t:tariff><t:id>halves</t:id><t:version>{self._version}</t:version>'
            f"<t:start>2026-01-01T00:00:00+00:00</t:start><t:end>2036-01-01T00:00:00+00:00</t:end>{_BANDS}</t:tariff>"
            "</t:SetTariff>"
        )
        url = f"http://{_ENTRY}:{HTTP}/Tariff/gossip"
        frame = build(Addressing(SET_TARIFF, message_id()), body.encode())
        entry = self._running["is"].process.pid
        before = _scheduled(entry)
        try:
            with self._spaces["is"].inside():
                urlopen(Request(url, frame, {"Content-Type": "application/soap+xml"}), timeout=ANSWER).close()
        except OSError as error:
            # It takes some 5 ms: whoever reads this wants to know whether the device or the machine was busy.
            ran, waited = (after - since for after, since in zip(_scheduled(entry), before, strict=True))
            told = f"it ran for {ran:.2f} s of this, and waited {waited:.2f} s for a processor"
            raise AssertionError(f"the entry did not take version {self._version}: {error}; {told}") from error
        return self._version

    def reached(self, version: int, within: float = 5.0) -> bool:
        """Was everybody but the entry handed it in time? Asks again and again: other processes send it, another thread
        hears it."""
        assert self.ear is not None
        until = time.monotonic() + within
        while self.ear.heard.last(version, self.hosts) == inf and time.monotonic() < until:
            time.sleep(0.05)
        return self.ear.heard.last(version, self.hosts) < inf

    def stream(self, messages: int, each: float = PAUSE) -> Stream:
        """Pushes one after the other, `each` s. Sleeps between two: how often they come is what loads the links."""
        assert self.ear is not None
        pushed = []
        before, began = self.ear.heard.octets.copy(), time.monotonic()
        for _ in range(messages):
            due = time.monotonic() + each
            pushed.append(self.push())
            time.sleep(max(due - time.monotonic(), 0.0))
        took = time.monotonic() - began
        rates = {kind: (octets - before[kind]) / took for kind, octets in self.ear.heard.octets.copy().items()}
        until = time.monotonic() + LATEST
        for version in pushed:
            self.reached(version, until - time.monotonic())
        heard = self.ear.heard
        crossed = sum(heard.crossed[version] for version in pushed) / messages
        return Stream(crossed, sorted(heard.last(version, self.hosts) for version in pushed), rates)

    @property
    def hosts(self) -> int:
        """Everybody but the entry."""
        return 2 * self._each - 1

    def _start(self, *names: str) -> None:
        processes = []
        for name in names:
            with self._spaces[name].inside():
                processes.append(spawn(self._folder / f"{name}.toml", "setpriv", "--pdeathsig", "KILL"))
        for name, process in zip(names, processes, strict=True):
            self._running[name] = ready(process, WITHIN)

    def _meet(self) -> None:
        """While devices come to know one another messages do not reach all, and each would be waited for."""
        until = time.monotonic() + WITHIN
        known = dict.fromkeys(self._running, 0)
        while few := {name: count for name, count in known.items() if count < self.hosts}:
            assert time.monotonic() < until, f"after {WITHIN:g} s some know fewer than {self.hosts} others: {few}"
            time.sleep(LOOK)
            known |= {name: self._known(name) for name in few}

    def _known(self, name: str) -> int:
        """How many others a device would give to whoever asks it for peers."""
        with self._spaces[name].inside():
            told = asked(self._running[name], "/Peers", GET_PEERS, get_peers_request(limit=self.hosts).decode())
        return len(told.xpath("//*[local-name() = 'peer']")) if told is not None else 0

    def _write(self, name: str, address: str) -> None:
        role = "InformationSystem" if name == "is" else "SubstationController"
        lines = [
            f'role = "{role}"',
            f'scopes = ["grid://halves/{name}"]',
            f'addresses = ["{address}"]',
            f"http_port = {HTTP}\nudp_port = {UDP}",
            f'store = "{name}.sqlite"',
            'security = "development"\nstylesheets = false\nwatch = 0\ndiscovery.enabled = false',
            "[gossip]",
            f'peer_selection = "{self._selection}"\nview_scopes = []',
            *(f"{name} = {value}" for name, value in self._gossip.items()),
        ]
        if name != "is":
            lines.insert(0, f'seeds = ["http://{_ENTRY}:{HTTP}/Peers"]')
        (self._folder / f"{name}.toml").write_text("\n".join(lines) + "\n")


def _scheduled(pid: int) -> tuple[float, float]:
    """Seconds for which a process has run, and for which it could have and waited for a processor."""
    ran, waited, _ = map(int, Path(f"/proc/{pid}/schedstat").read_text().split())
    return ran / 1e9, waited / 1e9


class Noise:
    """Others' packets through the router, both ways, from a thread of its own."""

    PACKET = 1_000

    def __init__(self, one: Space, other: Space, octets: float) -> None:
        """`octets` a second each way."""
        self._gap = self.PACKET / octets
        self._pairs = []
        for source, sink in ((one, other), (other, one)):
            with sink.inside():
                taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                taker.bind(("0.0.0.0", 9))
            with source.inside():
                self._pairs.append((socket.socket(socket.AF_INET, socket.SOCK_DGRAM), taker))
        self._to = [f"{Subnet.FAN.value}.2", f"{Subnet.WAN.value}.2"]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        for pair in self._pairs:
            for one in pair:
                one.close()

    def _send(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(due - time.monotonic(), 0.0)):
            for (sender, _), to in zip(self._pairs, self._to, strict=True):
                sender.sendto(bytes(self.PACKET), (to, 9))
            due = max(due + self._gap, time.monotonic() - 1.0)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.netns.halves", description=__doc__)
    parser.add_argument("--each", type=int, default=8, help="devices in each half (default: %(default)s)")
    parser.add_argument("--messages", type=int, default=20, help="of each line (default: %(default)s)")
    parser.add_argument("--kbit", type=int, default=RATE, help="a second, between them (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=PAUSE, help="seconds between messages (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    sys.stdout.write(
        "selection link | copies that cross, a message | to all s: p50 max | kbit/s sent across, both ways together\n"
    )
    for selection in PeerSelection:
        with TemporaryDirectory() as folder:
            halves = Halves(Path(folder), chosen.each, selection)
            try:
                halves.open()
                for link in ("free", "congested"):
                    if link == "congested":
                        halves.limit(chosen.kbit, BUSY)
                    halves.stream(SETTLING, chosen.pause)
                    seen = halves.stream(chosen.messages, chosen.pause)
                    times = f"{seen.last[len(seen.last) // 2]:.3f} {seen.last[-1]:.3f}"
                    kinds = sorted(seen.rates.items(), key=lambda one: -one[1])
                    rates = " ".join(f"{kind} {rate / 125:.0f}" for kind, rate in kinds if rate >= 12.5)
                    sys.stdout.write(f"{selection:8} {link:9} | {seen.crossed:.1f} | {times} | {rates}\n")
                    sys.stdout.flush()
            finally:
                halves.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
