"""A provider of sdc11073 in a process of its own, at a multicast port of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from peers import pip_package
from single_devices import DEADLINE, free_port

from gossip_ws.net.multicast import Group

PROGRAM = Path(__file__).with_name("sdc11073_provider.py")


@dataclass(frozen=True)
class Provider:
    """It runs. `url`: of the device."""

    url: str
    group: Group
    process: subprocess.Popen[str]

    def publish(self, bed: str = "") -> None:
        """Make it say Hello anew; with another `bed` its scopes change, and its subscribers are told."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{bed}\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        """In good order; a second time it does nothing."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(DEADLINE)


@contextmanager
def provider() -> Iterator[Provider]:
    """One that is up."""
    pip_package("sdc11073", "sdc11073")
    group = Group(port=free_port())
    command = [sys.executable, "-W", "ignore", str(PROGRAM), str(group.port)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    made = Provider(url, group, process)
    try:
        assert url.startswith("http://"), "the provider did not start"
        yield made
    finally:
        made.stop()
        process.stdout.close()
