"""The conformance tester finds what a provider of sdc11073 is known to do its own way, and nothing it does right."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from providers import Provider, provider

from gossip_ws.conform.examination import Settings, examine
from gossip_ws.conform.judging import judge
from gossip_ws.conform.rule import Result, Verdict

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


async def results_of(provider: Provider) -> dict[str, Result]:
    seen = await examine(provider.url, Settings(("127.0.0.1",), provider.group, wait=3.0))
    return {one.rule.id: one for one in judge(seen)}


@pytest.fixture(scope="module")
def peer() -> Iterator[Provider]:
    with provider() as made:
        yield made


@pytest.fixture(scope="module")
def results(peer: Provider) -> dict[str, Result]:
    return asyncio.run(results_of(peer))


@pytest.mark.parametrize("id", KNOWN)
def test_a_known_deviation_is_found(id: str, results: dict[str, Result]) -> None:
    finding = results[id].finding
    assert finding.verdict is Verdict.FAIL
    assert KNOWN[id] in finding.seen


@pytest.mark.parametrize("id", sorted(RIGHT))
def test_what_it_does_right_passes(id: str, results: dict[str, Result]) -> None:
    assert results[id].finding.verdict is Verdict.PASS, results[id].finding.seen


def test_published_anew_it_goes_on_from_a_random_instance(peer: Provider) -> None:
    """Numbers drawn at random never go back with a chance of one in as many as there are orders of them."""

    async def run() -> dict[str, Result]:
        examination = asyncio.create_task(results_of(peer))
        while not examination.done():
            await asyncio.wait((examination,), timeout=4.0 / PUBLISHED)
            peer.publish()
        return await examination

    found = asyncio.run(run())
    assert found["D11"].finding.verdict is Verdict.FAIL
    assert "InstanceId" in found["D11"].finding.seen
