"""Devices as processes: each is started by the command line on a loopback address of its own, its ports chosen by
the system, and is up when it says so."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def start(file: Path) -> Running:
    """Run the device of `file`. Raises AssertionError with its complaint when it is not ready in time."""
    process = subprocess.Popen(
        [*CLI, "device", "run", str(file), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.select(DEADLINE)
    line = process.stdout.readline() if process.poll() is None else ""
    if not line:
        process.kill()
        raise AssertionError(f"not ready: {process.communicate()[1]}")
    return Running(process, json.loads(line))


def eventually(condition: Callable[[], Any], within: float = DEADLINE) -> Any:
    """The first true value of `condition`, asked again and again until the deadline."""
    until = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < until, "not in time"
        time.sleep(0.05)


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
