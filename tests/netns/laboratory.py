"""A network of real hosts on one machine: a namespace each, two bridged subnets, a router between them.

No namespace has a name. Each lives as long as this process, or one in it, so nothing can collide with another run and
nothing is left behind, however this one ends. A thread enters a namespace for a while; what it opens or starts there
stays there. Knows nothing of devices.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET; the os module has it from Python 3.12 on
_EVERY_PROTOCOL = 3  # ETH_P_ALL
_LIBC = ctypes.CDLL(None, use_errno=True)
_SYSTEM = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
ROUTER = 254


class Subnet(Enum):
    """The two subnets, by the first three octets of their addresses."""

    WAN = "10.71.0"
    FAN = "10.71.1"

    def address(self, number: int) -> str:
        return f"{self.value}.{number}"


def why_not() -> str:
    """What is missing for a laboratory on this machine; empty when nothing is."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("ip", "nft", "setpriv", "tc") if shutil.which(name, path=_SYSTEM) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    try:
        laboratory = Laboratory()
    except OSError as error:
        return f"no network namespaces are permitted here: {error.strerror}"
    try:
        laboratory.host("probe", Subnet.FAN, 1)
        laboratory.lose(10)
        laboratory.limit(1_000)
        laboratory.cut()
    except (OSError, Refused) as error:
        return f"no veth, bridge, forwarding, nftables or token bucket in a namespace here: {error}"
    finally:
        laboratory.close()
    return ""


class Refused(Exception):
    """A tool said no; the message is what it said."""


class Space:
    """One network namespace. Raises OSError when none can be made."""

    def __init__(self) -> None:
        with _back():
            if _LIBC.unshare(_NEW_NETWORK):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            self._file = _here()

    @property
    def path(self) -> str:
        """Where other processes find it."""
        return f"/proc/{os.getpid()}/fd/{self._file}"

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is in it: the sockets that it opens and the processes that it starts belong there."""
        with _back():
            _enter(self._file)
            yield

    def run(self, *command: str, stdin: str = "") -> str:
        """The standard output of a command that runs in it. Raises Refused."""
        with self.inside():
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PATH": _SYSTEM},
            )
        if done.returncode:
            raise Refused(" ".join(f"{command[0]}: {done.stderr}".split()))
        return done.stdout

    def configure(self, *lines: str) -> None:
        """Carry out `ip` commands."""
        self.run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")

    def close(self) -> None:
        os.close(self._file)


class Tap:
    """Hears every IP packet that a host sends or gets. Close it."""

    def __init__(self, space: Space) -> None:
        with space.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERY_PROTOCOL))
            self._socket.bind(("eth0", _EVERY_PROTOCOL))

    def until(self, holds: Callable[[bytes], T], within: float = 15.0) -> T:
        """The first true value that `holds` makes of a packet. Raises AssertionError when none comes in time."""
        due = time.monotonic() + within
        while (left := due - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                found = holds(self._socket.recv(65_535))
            except TimeoutError:
                break
            if found:
                return found
        raise AssertionError("nothing such was on the wire in time")

    def close(self) -> None:
        self._socket.close()


class Laboratory:
    """Two bridges, a router that forwards no multicast, and as many hosts as are asked for. Close it."""

    def __init__(self) -> None:
        self._spaces: list[Space] = []
        try:
            self._switch, self._router = self._space(), self._space()
        except OSError:
            self.close()
            raise

    def host(self, name: str, subnet: Subnet, number: int) -> Space:
        """A host with one interface, eth0, on a bridge. Raises Refused, or OSError."""
        if not self._is_wired:
            self._wire()
        space = self._space()
        self._plug(name, subnet, space)
        space.configure(
            "link set lo up",
            f"addr add {subnet.address(number)}/24 brd + dev eth0",
            "link set eth0 up",
            f"route add default via {subnet.address(ROUTER)}",
        )
        return space

    def attach(self, name: str, subnet: Subnet, number: int, space: Space, device: str = "eth1") -> None:
        """One more interface for a host, on a bridge."""
        self._plug(name, subnet, space, device)
        space.configure(f"addr add {subnet.address(number)}/24 brd + dev {device}", f"link set {device} up")

    def lose(self, percent: int) -> None:
        """From now on each frame that crosses a bridge is lost with this chance, whatever is in it."""
        self._switch.run("nft", "-f", "-", stdin=_REPLACED.format("bridge loss"))
        if percent:
            rules = f'numgen random mod 100 < {percent} counter drop comment "lost"; counter comment "passed"'
            self._switch.run("nft", "-f", "-", stdin=_TABLE.format("bridge loss", "accept", rules))

    def lost(self) -> tuple[int, int]:
        """(frames lost, frames passed) since `lose`."""
        listed = json.loads(self._switch.run("nft", "-j", "list", "table", "bridge", "loss"))["nftables"]
        found = {rule["comment"]: counter["packets"] for rule, counter in _counters(listed)}
        return found["lost"], found["passed"]

    def limit(self, kbit: int) -> None:
        """From now on the router carries so many kbit/s into each subnet; a second's worth waits, the rest is lost."""
        for subnet in Subnet:
            bucket = ("tbf", "rate", f"{kbit}kbit", "burst", "3000", "limit", f"{kbit * 125}")
            self._router.run("tc", "qdisc", "replace", "dev", subnet.name, "root", *bucket)

    @property
    def switch(self) -> Space:
        """Where every frame between two hosts passes; a host's port has its name, the router's `router-SUBNET`."""
        return self._switch

    def cut(self) -> None:
        """Nothing crosses the router any more."""
        self._router.run("nft", "-f", "-", stdin=_TABLE.format("inet cut", "drop", ""))

    def heal(self) -> None:
        """No frame is lost, and the router forwards again."""
        self.lose(0)
        self._router.run("nft", "-f", "-", stdin=_REPLACED.format("inet cut"))

    def close(self) -> None:
        """Let go of all namespaces: the kernel takes each away when the last process in it has ended."""
        while self._spaces:
            self._spaces.pop().close()

    _is_wired = False

    def _space(self) -> Space:
        space = Space()
        self._spaces.append(space)
        return space

    def _wire(self) -> None:
        self._is_wired = True
        for subnet in Subnet:
            # Multicast goes to everybody at once: nobody has to say first that it listens.
            bridge = f"link add name {subnet.name} type bridge forward_delay 0 mcast_snooping 0"
            self._switch.configure(bridge, f"link set {subnet.name} up")
            self._plug(f"router-{subnet.name}", subnet, self._router, subnet.name)
            self._router.configure(
                f"addr add {subnet.address(ROUTER)}/24 brd + dev {subnet.name}", f"link set {subnet.name} up"
            )
        with self._router.inside():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def _plug(self, port: str, subnet: Subnet, space: Space, device: str = "eth0") -> None:
        self._switch.configure(
            f"link add name {port} type veth peer name {device} netns {space.path}",
            f"link set dev {port} master {subnet.name} up",
        )


_REPLACED = "table {0}\ndelete table {0}\n"
_TABLE = "table {0} {{\n chain frames {{\n  type filter hook forward priority 0; policy {1};\n  {2}\n }}\n}}\n"


def _counters(listed: list[dict]) -> Iterator[tuple[dict, dict]]:
    for entry in listed:
        for statement in entry.get("rule", {}).get("expr", ()):
            if "counter" in statement:
                yield entry["rule"], statement["counter"]


@contextmanager
def _back() -> Iterator[None]:
    """This thread is back where it was afterwards."""
    home = _here()
    try:
        yield
    finally:
        _enter(home)
        os.close(home)


def _here() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def _enter(file: int) -> None:
    if _LIBC.setns(file, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
