"""`gossip-ws conform`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gossip_ws.conform.evidence import Evidence
from gossip_ws.conform.examination import Settings, examine
from gossip_ws.conform.judging import judge
from gossip_ws.conform.rule import Level, Result, Verdict, clean
from gossip_ws.devices.cli_output import Number, Progress, as_json, say_json
from gossip_ws.devices.finding import probing_hosts
from gossip_ws.kernel.errors import LocalError
from gossip_ws.net.multicast import Group

_MAX_BODY = 32_768


@click.command(
    epilog="""\b
Example:
  gossip-ws conform http://192.168.1.20:5357/device
  gossip-ws conform urn:uuid:6d4f2f0e-1d0a-4c55-9f47-1c6a3e4d5b10 --json
  gossip-ws conform http://127.1.0.2:8080 --no-multicast
"""
)
@click.argument("device", metavar="URL-OR-EPR")
@click.option("--interface", "interfaces", multiple=True, help="A name or an address to multicast from; all without.")
@click.option("--no-multicast", is_flag=True, help="Ask by HTTP alone, of a device behind a router.")
@click.option("--group", default=Group().host, show_default=True, help="The multicast group.")
@click.option("--port", type=click.IntRange(1, 65_535), default=Group().port, show_default=True, help="Its port.")
@click.option("--wait", type=Number(0.1, 60), default=4.0, show_default=True, help="Seconds for answers by datagram.")
@click.option("--listen", type=Number(0, 600), default=0.0, help="Seconds at the end in which you restart the device.")
@click.option(
    "--one-way",
    type=click.Path(path_type=Path),
    help="A file with the Body element of a one-way operation that may be called.",
)
@as_json
def conform(
    device: str,
    interfaces: Sequence[str],
    no_multicast: bool,
    group: str,
    port: int,
    wait: float,
    listen: float,
    one_way: Path | None,
    as_json: bool,
) -> None:
    """Check a DPWS device, by its http address or its endpoint reference, against DPWS 1.1: one line a rule.

    Nothing is changed at the device; subscriptions that are made are ended. Exit code 0 when it keeps every rule that
    says must, 1 when it breaks one, 2 when it does not answer.
    """
    settings = Settings(
        interfaces=() if no_multicast else probing_hosts(interfaces),
        group=Group(group, port),
        wait=wait,
        listen=listen,
        one_way=_body(one_way),
    )
    progress = Progress()
    progress.say("asking the device")
    try:
        seen = asyncio.run(examine(device, settings))
    finally:
        progress.clear()
    results = judge(seen)
    if as_json:
        say_json(_as_json(seen, results))
    else:
        click.echo(_table(seen, results))
    if any(result.is_violation for result in results):
        click.get_current_context().exit(1)


def _table(seen: Evidence, results: Sequence[Result]) -> str:
    lines = [f"device {clean(seen.device) or 'unknown'} at {clean(seen.url)}"]
    width = max(len(result.rule.id) for result in results)
    group = None
    for result in results:
        rule, finding = result.rule, result.finding
        if rule.group is not group:
            group = rule.group
            lines.append(f"\n{group.value}")
        lines.append(
            f"  {rule.id:{width}}  {rule.level.value:6}  {finding.verdict.value:4}  {rule.text} [{finding.seen}]"
        )
    counts = ", ".join(
        f"{level.value}: {_count(results, level, Verdict.PASS)} pass, {_count(results, level, Verdict.FAIL)} fail"
        for level in (Level.MUST, Level.SHOULD)
    )
    unknown = sum(result.finding.verdict is Verdict.NOT_APPLICABLE for result in results)
    return "\n".join((*lines, "", f"{counts}; {unknown} not applicable"))


def _count(results: Sequence[Result], level: Level, verdict: Verdict) -> int:
    return Counter((result.rule.level, result.finding.verdict) for result in results)[level, verdict]


def _as_json(seen: Evidence, results: Sequence[Result]) -> dict[str, Any]:
    return {
        "device": clean(seen.device) or None,
        "url": seen.url,
        "passed": not any(result.is_violation for result in results),
        "rules": [
            {
                "id": result.rule.id,
                "group": result.rule.group.value,
                "level": result.rule.level.value,
                "verdict": result.finding.verdict.value,
                "text": result.rule.text,
                "seen": result.finding.seen,
                "source": result.rule.source.value,
            }
            for result in results
        ],
    }


def _body(file: Path | None) -> bytes:
    if file is None:
        return b""
    try:
        with file.open("rb") as stream:
            octets = stream.read(_MAX_BODY + 1)
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}") from None
    if len(octets) > _MAX_BODY:
        raise LocalError(f"{file}: more than {_MAX_BODY} octets")
    return octets
