"""One smart meter as it is run for real: `gossip-ws device run`, with a trust file, a key and a SQLite store.

Measured from outside: time from exec to the line that says it takes messages, and resident memory (VmRSS)
before and after a client's request with a stylesheet has started the XSLT worker. The two run the same
interpreter and the same lxml, whose pages are resident once however many processes map them: what the pair
has resident counts those once, and the plain sum of both VmRSS stands in the note.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib import resources
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any, Final
from urllib.parse import urlsplit

from gossip_ws.kernel.names import METERING, TARIFF
from gossip_ws.kernel.terms import Filter, Wanted
from gossip_ws.security.keys import PrivateKey
from gossip_ws.wire.envelope import Addressing, build, message_id, parse
from gossip_ws.wire.gossip import decode_report, encode_wanted
from tests.benchmarks.figures import Figure, limited
from tests.benchmarks.parts import tariff

DEVICE_BELOW: Final = 48.0
PAIR_BELOW: Final = 60.0
READY_BELOW: Final = 0.5
_MIB: Final = 1024.0
_SETTLED: Final = 1.0
"""Seconds after which a device that was started has said its Hello and probed."""

_CONFIG: Final = """
role = "SmartMeter"
name = "Kitchen"
addresses = ["127.0.0.1"]
scopes = ["grid://bench/ssc-1/sm-1"]
store = "meter.sqlite"
key = "meter.key"
trust = "trust.toml"

[discovery]
enabled = true

[demand]
energy_wh = [100, 20, 3]
"""
_TRUST: Final = f"""
[[originator]]
key = "utility.pem"
actions = ["{TARIFF}:SetTariff", "{METERING}:GetDemand"]

[[caller]]
networks = ["127.0.0.0/8"]
interfaces = ["127.0.0.1"]
actions = ["{TARIFF}:SetTariff", "{METERING}:GetDemand"]
"""


def measure(starts: int) -> list[Figure]:
    """Memory of one device, and of it with its worker; the median of `starts` starts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "meter.toml").write_text(_CONFIG)
        (folder / "trust.toml").write_text(_TRUST)
        PrivateKey.generate().save(folder / "meter.key")
        (folder / "utility.pem").write_bytes(PrivateKey.generate().public.pem())
        seconds = []
        # The first makes the identity and the database, compiles the code and brings it into the page cache.
        for _ in range(starts + 1):
            with _device(folder) as (_, _, taken):
                seconds.append(taken)
        with _device(folder) as (process, url, _):
            sleep(_SETTLED)
            alone = _resident(process.pid)
            _push(url)
            after_push = _resident(process.pid)
            _pull(url)
            (worker,) = _children(process.pid)
            pair = [_resident(pid) for pid in (process.pid, worker)]
            together = _together((process.pid, worker))
    spread = f"{min(seconds[1:]):.2f} .. {max(seconds[1:]):.2f} s in {starts} starts"
    return [
        limited("one SM, resident", alone, "MiB", DEVICE_BELOW, f"{after_push:.1f} once a tariff came"),
        limited(
            "one SM and its XSLT worker",
            together,
            "MiB",
            PAIR_BELOW,
            f"at most, shared pages counted once; VmRSS {pair[0]:.1f} + {pair[1]:.1f} counts them twice",
        ),
        limited("one SM, exec to ready", median(seconds[1:]), "s", READY_BELOW, spread),
    ]


@contextmanager
def _device(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, float]]:
    """(process, its HTTP address, seconds from exec to ready)."""
    command = [str(Path(sys.executable).with_name("gossip-ws")), "device", "run", str(folder / "meter.toml"), "--json"]
    # With its code compiled, as pip leaves it, whatever the environment here says; and not into the tree.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    begun = perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            taken = perf_counter() - begun
            ready: dict[str, Any] = json.loads(line)
            yield process, ready["http"], taken
        finally:
            process.terminate()
            process.wait(10)


def _push(url: str) -> None:
    status, answer = _post(url + "/Tariff/gossip", f"{TARIFF}:SetTariff", tariff(1), b"")
    if status != 202:
        raise AssertionError(answer)


def _pull(url: str) -> None:
    """A request whose replies a stylesheet combines."""
    stylesheet = (resources.files("gossip_ws.wsdl") / "demand-sum.xslt").read_text()
    body = f'<m:GetDemand xmlns:m="{METERING}"></m:GetDemand>'.encode()
    wanted = encode_wanted(Wanted(filter=Filter(stylesheet=stylesheet), timeout=5.0))
    status, answer = _post(url + "/Metering/gossip", f"{METERING}:GetDemand", body, wanted)
    report = decode_report(parse(answer)) if status == 200 else None
    if report is None or report[1].contributors != 1:
        raise AssertionError(answer)


def _post(url: str, action: str, body: bytes, blocks: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = HTTPConnection(parts.hostname, parts.port or 80, timeout=10)
    frame = build(Addressing(action=action, message_id=message_id(), to=url), body, blocks)
    connection.request("POST", parts.path, frame, {"Content-Type": "application/soap+xml; charset=utf-8"})
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def _resident(pid: int) -> float:
    """VmRSS in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / _MIB


def _together(pids: tuple[int, ...]) -> float:
    """MiB that the processes have resident together, from above: of a file's clean pages no more than the mapping
    is large can be resident, however many processes map it; all else is each one's own."""
    own = 0
    clean: dict[tuple[str, str], tuple[int, int]] = {}
    for pid in pids:
        mapping, size, rss = ("", ""), 0, 0
        for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
            name, _, rest = line.partition(" ")
            if not name.endswith(":"):
                offset, _, inode, *path = rest.split()[1:]
                mapping = (path[0] if path and inode != "0" else f"{pid} {name}", offset)
            elif name == "Size:":
                size = int(rest.split()[0])
            elif name == "Rss:":
                rss = int(rest.split()[0])
            elif name == "Private_Dirty:":
                dirty = int(rest.split()[0])
                own += dirty
                before = clean.get(mapping, (0, 0))[0]
                clean[mapping] = (before + rss - dirty, size)
    return (own + sum(min(rss, size) for rss, size in clean.values())) / _MIB


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
