"""Devices of every role pass the conformance tester whole."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import pytest
from single_devices import Running, cli, free_port, start
from town import tariff

from gossip_ws.conform.evidence import Evidence
from gossip_ws.conform.examination import Settings, examine
from gossip_ws.conform.judging import judge
from gossip_ws.conform.rule import Level, Result, Verdict
from gossip_ws.core.peers import Role
from gossip_ws.net.multicast import Group

UNSEEN = {"D1", "D3", "D4", "R0006"}
"""Needs a restart; but the first Hello may come late enough to be heard."""
UNCHANGED = {"R2001", "R2002", "R2030", "R2042"}
"""Needs a change of metadata; tests/dpws has one."""
OTHERS = {"D12", "D14", "D17", "D18"}
"""Of clients and proxies."""
NOT_SEEN_HERE = {"U8", "WSE.End", "WSE.Parameters"}
"""No soap.udp address is told, and nothing happens that a subscriber would be told."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Result, ...]]:
    """By role; all are asked at the same time, as each waits for its answers by datagram."""
    folder = tmp_path_factory.mktemp("conform")
    group = Group("239.255.78.2", free_port())
    running: list[Running] = []
    for number, role in enumerate(Role, 1):
        file = folder / f"{role.value}.toml"
        file.write_text(
            f'role = "{role.value}"\nidentity = "{uuid4().urn}"\nsecurity = "development"\n'
            f'scopes = ["grid://Conform/Area{number}"]\naddresses = ["127.78.0.{number}"]\n'
            f'discovery = {{ group = "{group.host}", port = {group.port} }}\n'
        )
        running.append(start(file))
    settings = Settings(("127.0.0.1",), group, one_way=tariff(1))

    async def run() -> list[Evidence]:
        return await asyncio.gather(*(examine(one.told["device"], settings) for one in running))

    try:
        found = asyncio.run(run())
    finally:
        for one in running:
            one.stop()
    return {role.value: judge(seen) for role, seen in zip(Role, found, strict=True)}


@pytest.mark.parametrize("role", [role.value for role in Role])
def test_a_device_of_each_role_passes_whole(role: str, results: dict[str, tuple[Result, ...]]) -> None:
    found = results[role]
    assert [(one.rule.id, one.finding.seen) for one in found if one.finding.verdict is Verdict.FAIL] == []
    unjudged = {
        one.rule.id
        for one in found
        if one.finding.verdict is Verdict.NOT_APPLICABLE and one.rule.level is not Level.MAY
    }
    assert unjudged | {"D1"} == UNSEEN | UNCHANGED | OTHERS | NOT_SEEN_HERE


def test_the_verb_tells_one_line_a_rule_and_exits_by_the_verdict(tmp_path: Path) -> None:
    file = tmp_path / "meter.toml"
    file.write_text(
        f'role = "SmartMeter"\nidentity = "{uuid4().urn}"\nsecurity = "development"\n'
        'scopes = ["grid://conform/1"]\naddresses = ["127.78.0.9"]\n'
    )
    running = start(file)
    try:
        done = cli("conform", running.told["http"], "--no-multicast")
        assert (done.returncode, done.stderr) == (0, "")
        assert "  R2044" in done.stdout
        told = json.loads(cli("conform", running.told["http"], "--no-multicast", "--json").stdout)
        assert (told["device"], told["passed"]) == (running.told["device"], True)
        assert {one["verdict"] for one in told["rules"]} == {"pass", "n/a"}
        assert len(told["rules"]) == sum(line.startswith("  ") for line in done.stdout.splitlines())
    finally:
        running.stop()
    gone = cli("conform", running.told["http"], "--no-multicast")
    assert (gone.returncode, gone.stdout) == (2, "")
    assert "no device answers" in gone.stderr
