"""Devices as processes: each is started by the command line on a loopback address of its own, its ports chosen by
the system, and is up when it says so."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from lxml import etree

from gossip_ws.kernel.names import TARIFF
from gossip_ws.wire.envelope import Addressing, build, message_id, parse

CLI = [sys.executable, "-m", "gossip_ws.devices.cli"]
SET_TARIFF = "urn:gossip-ws:2026:tariff:SetTariff"
GET_DEMAND = "urn:gossip-ws:2026:metering:GetDemand"
DEADLINE = 15.0


def cli(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """One call of `gossip-ws`."""
    return subprocess.run(
        [*CLI, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


@dataclass
class Running:
    """A device process, and what it said when it was ready."""

    process: subprocess.Popen[str]
    told: dict[str, Any]

    def address(self, path: str) -> str:
        return f"{self.told['http']}{path}"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code after a signal; whatever it wrote on standard error is an error here."""
        self.process.send_signal(number)
        _, complaint = self.process.communicate(timeout=DEADLINE)
        assert complaint == ""
        return self.process.returncode


def spawn(file: Path, *before: str) -> subprocess.Popen[str]:
    """A process that is about to be the device of `file`; `before`: a command that runs it."""
    command = [*before, *CLI, "device", "run", str(file), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ready(process: subprocess.Popen[str], within: float = DEADLINE) -> Running:
    """The device, once it takes messages. Raises AssertionError with its complaint when that is not in time."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.select(within)
    line = process.stdout.readline() if process.poll() is None else ""
    if not line:
        process.kill()
        raise AssertionError(f"not ready: {process.communicate()[1]}")
    return Running(process, json.loads(line))


def start(file: Path) -> Running:
    """Run the device of `file`; raises as `ready` does."""
    return ready(spawn(file))


def free_port() -> int:
    """One that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], Any], within: float = DEADLINE) -> Any:
    """The first true value of `condition`, asked again and again until the deadline. It is about another process, which
    tells nobody when it has changed: the pause between two questions leaves it the processor."""
    until = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < until, "not in time"
        time.sleep(0.05)


def asked(running: Running, path: str, action: str, body: str) -> etree._Element | None:
    """What a device answers at a service's original address; None when it is a fault, or nobody answers."""
    frame = build(Addressing(action, message_id()), body.encode())
    request = Request(running.address(path), frame, {"Content-Type": "application/soap+xml"})
    try:
        with urlopen(request, timeout=5) as reply:
            return parse(reply.read()).payload
    except OSError:
        return None


def held(running: Running) -> tuple[str, int] | None:
    """(id, version) of the tariff that a device tells to have; None when it has none."""
    payload = asked(running, "/Tariff", f"{TARIFF}:GetTariff", f'<t:GetTariff xmlns:t="{TARIFF}"/>')
    if payload is None:
        return None
    (id,), (version,) = (payload.xpath(f"//*[local-name() = '{name}']/text()") for name in ("id", "version"))
    return str(id), int(version)


def ports(running: Running) -> str:
    """As TOML: the ports that it has, so that its next start has them again."""
    http, udp = (running.told[name].rpartition(":")[2] for name in ("http", "udp"))
    return f"http_port = {http}\nudp_port = {udp}\n"


def resident(pid: int) -> int:
    """Resident memory in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in found if os.path.exists(f"/proc/{one}")]
