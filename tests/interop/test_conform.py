"""The conformance tester finds what a provider of sdc11073 is known to do its own way, and nothing it does right."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from peers import pip_package
from single_devices import DEADLINE, free_port

from gossip_ws.conform.examination import Settings, examine
from gossip_ws.conform.judging import judge
from gossip_ws.conform.rule import Result, Verdict
from gossip_ws.net.multicast import Group

PROVIDER = Path(__file__).with_name("sdc11073_provider.py")
KNOWN = {
    "U1": "3 copies",  # of a match, 5 of a Hello; the cap of the gap compares seconds with 500
    "R1022": "1 matches",  # a directed Probe is answered whatever its types are
    "R0031": "HTTP 200",  # ReplyTo is not looked at
    "FAULT.ActionNotSupported": "HTTP 400, fault Sender",
    "MEX.Action": "transfer/GetResponse",
    "WSDL.SelfContained": "http://standards.ieee.org/",
    "R3020": "HTTP 200",  # a filter that nothing matches
    "R3016": "HTTP 200",  # PT0S
    "WSE.Unknown": "HTTP 200",
    "D11": "MessageNumber 1",  # of every match
}
"""Of 3.0, by the rule it breaks: what is seen of it."""
RIGHT = {"U2", "U3", "U4", "U5", "R1009", "R1019", "R1021", "D6", "D8", "D9", "D10", "R0001", "R0019", "R2044", "R3009"}
PUBLISHED = 12


@dataclass(frozen=True)
class Provider:
    """It runs; `publish` makes it say Hello anew."""

    url: str
    group: Group
    publish: Callable[[], None]

    async def results(self) -> dict[str, Result]:
        seen = await examine(self.url, Settings(("127.0.0.1",), self.group, wait=3.0))
        return {one.rule.id: one for one in judge(seen)}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    pip_package("sdc11073", "sdc11073")
    group = Group(port=free_port())
    command = [sys.executable, "-W", "ignore", str(PROVIDER), str(group.port)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    lines, told = process.stdin, process.stdout
    assert lines is not None
    assert told is not None

    def publish() -> None:
        lines.write("\n")
        lines.flush()

    try:
        url = told.readline().strip()
        assert url.startswith("http://"), "the provider did not start"
        yield Provider(url, group, publish)
    finally:
        lines.close()
        process.wait(DEADLINE)
        told.close()


@pytest.fixture(scope="module")
def results(provider: Provider) -> dict[str, Result]:
    return asyncio.run(provider.results())


@pytest.mark.parametrize("id", KNOWN)
def test_a_known_deviation_is_found(id: str, results: dict[str, Result]) -> None:
    finding = results[id].finding
    assert finding.verdict is Verdict.FAIL
    assert KNOWN[id] in finding.seen


@pytest.mark.parametrize("id", sorted(RIGHT))
def test_what_it_does_right_passes(id: str, results: dict[str, Result]) -> None:
    assert results[id].finding.verdict is Verdict.PASS, results[id].finding.seen


def test_published_anew_it_goes_on_from_a_random_instance(provider: Provider) -> None:
    """Numbers drawn at random never go back with a chance of one in as many as there are orders of them."""

    async def run() -> dict[str, Result]:
        examination = asyncio.create_task(provider.results())
        while not examination.done():
            await asyncio.wait((examination,), timeout=4.0 / PUBLISHED)
            provider.publish()
        return await examination

    found = asyncio.run(run())
    assert found["D11"].finding.verdict is Verdict.FAIL
    assert "InstanceId" in found["D11"].finding.seen
