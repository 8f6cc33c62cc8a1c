"""wsdd, which makes a host visible to Windows, speaks the generation of 2005/04 and 2006/02: each side finds the other.

wsdd leaves addresses of 127.0.0.0/8 alone. So both live in a network namespace of their own, whose loopback interface
has another address; that needs root.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from peers import debian_packages, meter_file, works
from single_devices import CLI, DEADLINE, eventually, ready, spawn

ADDRESS = "10.79.0.1"
NETWORK = (
    f"ip link set lo up && ip addr add {ADDRESS}/32 dev lo && ip route add 224.0.0.0/4 dev lo && echo up && exec cat"
)


@pytest.fixture
def inside() -> Iterator[tuple[str, ...]]:
    """A command that runs another one in the namespace, which ends with what holds it."""
    if os.geteuid() != 0:
        pytest.skip("wsdd needs an address outside 127.0.0.0/8, in a network namespace, and that needs root")
    debian_packages(("wsdd", "unshare", "nsenter", "ip"), "wsdd util-linux iproute2")
    held = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", NETWORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert held.stdout is not None
    up = held.stdout.readline()
    try:
        if up != "up\n":
            pytest.skip("no network namespaces are permitted here")
        yield "nsenter", f"--target={held.pid}", "--net"
    finally:
        held.communicate(timeout=DEADLINE)


@contextmanager
def wsdd(inside: tuple[str, ...], folder: Path, *options: str) -> Iterator[Callable[[], str]]:
    """It runs; what it has said so far."""
    log = folder / "wsdd.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*inside, "wsdd", "--ipv4only", "--interface", "lo", "--verbose", *options], stdout=said, stderr=said
        )
    try:
        yield log.read_text
    finally:
        process.terminate()
        process.wait(DEADLINE)


@works("wsdd", "finds", "describes")
def test_it_finds_a_device_and_reads_its_name(inside: tuple[str, ...], tmp_path: Path) -> None:
    """By its log: from Python 3.10 on, wsdd 0.7 cannot open the socket at which it would tell its list."""
    running = ready(spawn(meter_file(tmp_path, ADDRESS, "grid://interop/1/7"), *inside))
    try:
        with wsdd(inside, tmp_path, "--discovery", "--no-host") as said:
            eventually(lambda: re.search(rf"discovered meter grid://interop/1/7 on {ADDRESS}%lo", said()))
    finally:
        running.stop()


@works("wsdd", "found")
def test_ours_finds_it(inside: tuple[str, ...], tmp_path: Path) -> None:
    """It ignores a Probe without types, so `gossip-ws discover` always sends one."""
    discover = [*inside, *CLI, "discover", "--interface", ADDRESS, "--timeout", "1.5", "--json"]
    with wsdd(inside, tmp_path, "--hostname", "OFFICE") as said:
        eventually(lambda: "joined multicast group" in said())

        def found() -> list[dict[str, object]]:
            done = subprocess.run(discover, capture_output=True, text=True, timeout=DEADLINE, check=False)
            return list(json.loads(done.stdout)) if done.returncode == 0 else []

        (one,) = eventually(found)
    assert str(one["device"]).startswith("urn:uuid:")
    assert [str(type).rpartition("}")[2] for type in one["types"]] == ["Device", "Computer"]  # type: ignore[attr-defined]
    (address,) = one["addresses"]  # type: ignore[misc]
    assert str(address).startswith(f"http://{ADDRESS}:5357/")
