"""What agreeing costs over real sockets: `python tests/devices/balance_figures.py`. For docs/nano-grids.md."""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from neighbours import Neighbours, drawn

from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.log import Kind, agreements
from gossip_ws.consensus.optimum import matched
from gossip_ws.security.keys import PrivateKey

CASES = ((8, 0.0, False), (24, 0.0, False), (24, 0.0, True), (24, 0.1, True), (64, 0.1, True))
SEEDS = range(3)
PERIODS = 24
PACE = Pace(round=0.25)


def resident() -> float:
    """KiB that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024


async def measured(devices: int, loss: float, is_signed: bool, seed: int, folder: Path) -> tuple[float, ...]:
    instance = drawn(devices, seed, PERIODS)
    keys = {device.id: PrivateKey.generate() for device in instance.devices} if is_signed else None
    neighbours = Neighbours(instance, folder, "127.140", loss=loss, keys=keys, pace=PACE)
    await neighbours.open()
    try:
        gc.collect()
        busy, began, held = time.process_time(), time.monotonic(), resident()
        neighbours.start()
        await neighbours.until(neighbours.is_done, "all matched")
        busy = time.process_time() - busy
        logs = neighbours.logs
        assert violations(logs, hierarchy=neighbours.hierarchy, settled=True) == []
        made = agreements(logs)
        assert sum(sum(one.watts) for one in made) == matched(instance)
        last = max(record.at for log in logs.values() for record in log if record.kind is Kind.COMMITTED) - began
        messages = neighbours.messages()
        octets = sum(host.endpoint.counters["sent octets of calls"] for host in neighbours.hosts.values())
        return (
            len(made),
            messages / len(made),
            octets / neighbours.calls(),
            last,
            last / PACE.round,
            1000 * busy / messages,
            (resident() - held) / devices,
        )
    finally:
        await neighbours.close()


def main() -> None:
    names = ("decisions", "messages each", "octets a call", "s", "rounds", "CPU ms each", "KiB a device")
    sys.stdout.write(f"{'devices':>7} {'loss':>5} {'signed':>6} " + " ".join(f"{name:>13}" for name in names) + "\n")
    for devices, loss, is_signed in CASES:
        found = []
        for seed in SEEDS:
            with TemporaryDirectory() as folder:
                found.append(asyncio.run(measured(devices, loss, is_signed, seed, Path(folder))))
        spans = [f"{min(column):.4g}-{max(column):.4g}" for column in zip(*found, strict=True)]
        sys.stdout.write(f"{devices:7} {loss:5} {is_signed!s:>6} " + " ".join(f"{span:>13}" for span in spans) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
