"""What is made of a report that a device gives: names up to a bound, no count that there cannot be, no trust in pages.

The device is played by a few lines: one that lies is what the real ones are made not to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from streets import Streets

from gossip_ws.client import Answer, GossipClient, Report, Unanswered, wanted
from gossip_ws.devices.reports import MOST_NAMES, MOST_PAGES, Page, ask, names, receipt
from gossip_ws.filters.report import PUSH
from gossip_ws.kernel.names import REPORT
from gossip_ws.kernel.terms import Wanted
from gossip_ws.wire.envelope import Addressing, build, parse

ASKED = Wanted()


class Liar:
    """Answers each question with the next of these: what it holds, the names, and how many each stands for."""

    shadow = "http://device/Report/gossip"

    def __init__(self, answers: Iterator[tuple[str, list[str], str]]) -> None:
        self._answers = answers
        self.asked = 0

    def call(self, operation: str, **given: Any) -> Answer:
        self.asked += 1
        held, told, behind = next(self._answers)
        lacking = "".join(
            f"<lacking><device>{name}</device><standing>missing</standing><devices>{behind}</devices></lacking>"
            for name in told
        )
        body = (
            f'<GetReportResponse xmlns="{REPORT}"><GetReportResult><held>{held}</held><devices>5</devices><names>'
            f"<limit>200</limit><complete>false</complete>{lacking}</names></GetReportResult></GetReportResponse>"
        )
        return Answer(None, Report(5, 9_000, 8_995), parse(build(Addressing(), body.encode())))


def liar(*answers: tuple[str, list[str], str]) -> Any:
    return Liar(iter(answers))


@pytest.mark.parametrize(
    ("held", "behind"), [("6", "1"), ("-1", "1"), ("many", "1"), ("5", "0"), ("5", "-3"), ("5", ""), ("5", "1e3")]
)
def test_counts_that_there_cannot_be_are_no_answer(held: str, behind: str) -> None:
    with pytest.raises(Unanswered, match="counts"):
        ask(liar((held, ["a"], behind)), "00" * 32, PUSH, ASKED)
    assert ask(liar(("5", ["a"], "1")), "00" * 32, PUSH, ASKED).held == 5


def test_no_more_names_are_told_than_is_said() -> None:
    pages = [("0", [f"{number:06}" for number in range(first, first + 130)], "1") for first in range(0, 9_000, 130)]
    found = names(liar(*pages), "00" * 32, PUSH, ASKED, 9_000)
    assert (len(found.told), found.unnamed) == (MOST_NAMES, 9_000 - MOST_NAMES)


def test_pages_that_do_not_go_on_or_hardly_do_are_not_asked_for_without_end() -> None:
    again = liar(*[("0", ["b", "c"], "1")] * 9)
    found = names(again, "00" * 32, PUSH, ASKED, 9)
    assert ([one.device for one in found.told], found.unnamed, again.asked) == (["b", "c"], 7, 2)
    slow = liar(*[("0", [f"{number:06}"], "1") for number in range(900)])
    assert len(names(slow, "00" * 32, PUSH, ASKED, 900).told) == slow.asked == MOST_PAGES


def test_what_was_seen_stands_though_a_later_question_is_not_answered() -> None:
    streets = Streets.open()
    client: GossipClient | None = None
    seen: list[Page] = []

    def gone(page: Page) -> None:
        seen.append(page)
        streets.crash(streets.top)

    try:
        client = streets.client("Report")
        told = receipt(client, "00" * 32, wanted(timeout=1.5), 1.0, gone)
    finally:
        if client is not None:
            client.close()
        streets.town.close()
    assert len(seen) == 1
    assert (told.expected, told.answered, told.reached) == (7, 7, 0)
    assert len(told.unreached.told) == 7
