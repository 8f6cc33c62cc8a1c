"""What became of a message, asked of the Report service: names page by page, and the receipt for a push.

Says what was seen, what was not, and the difference; prints nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import ceil, floor
from typing import Final

from lxml import etree

from gossip_ws.client import GossipClient, Report, Unanswered
from gossip_ws.core.account import Lack
from gossip_ws.filters.pages import MAX_NAMES
from gossip_ws.filters.report import PUSH, REQUEST
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.names import REPORT, qname
from gossip_ws.kernel.terms import Wanted
from gossip_ws.theory.proportion import wilson

MOST_NAMES: Final = 2_000
"""Names of one answer that are told."""
MOST_PAGES: Final = 40
"""Pages that are asked for, each a pull of its own: of usual names one holds 130."""
_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 2.0
"""Seconds between two rounds of asking who has it."""


@dataclass(frozen=True, slots=True)
class Name:
    """A device that does not count, why, and how many devices stand behind it, itself among them."""

    device: str
    standing: str
    devices: int


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of GetReport: `held` of `report.contributors` devices have the message."""

    held: int
    report: Report
    names: tuple[Name, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Names:
    """The names that were told. `unnamed`: devices that do not count either, and of which no name is known here."""

    told: tuple[Name, ...]
    unnamed: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """How far a push came, as far as that was seen.

    Of `expected` devices `answered` said whether they have it, and `reached` have it. `unreached` answered that they
    do not; `silent` gave no answer. `id`: of the push, hexadecimal.
    """

    id: str
    expected: int
    answered: int
    reached: int
    unreached: Names
    silent: Names

    @property
    def is_whole(self) -> bool:
        """Is everyone expected known to have it?"""
        return self.reached == self.answered == self.expected

    @property
    def unheard(self) -> int:
        """Devices that gave no answer."""
        return self.expected - self.answered

    @property
    def bounds(self) -> tuple[int, int]:
        """At least and at most so many have it: certain, if the devices said the truth."""
        return self.reached, self.reached + self.unheard

    @property
    def estimate(self) -> tuple[float, int, int]:
        """(expected, low, high) of the silent ones that have it, at 95 % confidence, if they are no different in
        that from those that answered."""
        low, high = wilson(self.reached, self.answered)
        share = self.reached / self.answered if self.answered else 0.5
        return share * self.unheard, floor(low * self.unheard), ceil(high * self.unheard)


def ask(client: GossipClient, about: str, of: str, asked: Wanted, after: str = "") -> Page:
    """One page from the shadow of a Report service. Raises RemoteError, or Unanswered, also for what is no report."""
    given = {"about": about, "of": of, "limit": MAX_NAMES, **({"after": after} if after else {})}
    answer = client.call("GetReport", wanted=asked, **given)
    payload = answer.envelope.payload if answer.envelope is not None else None
    if answer.report is None or payload is None:
        raise Unanswered(f"{client.shadow} does not say what its report stands for")
    try:
        names = tuple(
            Name(_text(one, "device"), _text(one, "standing"), int(_text(one, "devices")))
            for one in payload.iter(qname(REPORT, "lacking"))
        )
        held = next((int(one.text or "0") for one in payload.iter(qname(REPORT, "held"))), 0)
    except ValueError:
        raise Unanswered(f"{client.shadow} counts by what is no number") from None
    if not 0 <= held <= answer.report.contributors or any(name.devices < 1 for name in names):
        raise Unanswered(f"{client.shadow} counts devices that there cannot be")
    complete = next((one.text in ("true", "1") for one in payload.iter(qname(REPORT, "complete"))), True)
    return Page(held, answer.report, names, complete)


def names(client: GossipClient, about: str, of: str, asked: Wanted, count: int, first: Page | None = None) -> Names:
    """Page after page, up to MOST_NAMES; `count` devices are known to be meant. A page that does not come, or does not
    go on where the one before it ended, ends it."""
    told: tuple[Name, ...] = ()
    try:
        page = first or ask(client, about, of, asked)
        told = page.names
        for _ in range(1, MOST_PAGES):
            if page.complete or not page.names or len(told) >= MOST_NAMES:
                break
            page = ask(client, about, of, asked, told[-1].device)
            if page.names and page.names[0].device <= told[-1].device:
                break
            told += page.names
    except (RemoteError, Unanswered):
        # What was told stands; the rest is counted as unnamed.
        pass
    # Who was waited for in vain here and is counted there needs no name.
    told = tuple(name for name in told if name.standing != Lack.COUNTED)[:MOST_NAMES]
    return Names(told, max(count - sum(name.devices for name in told), 0))


def receipt(
    client: GossipClient, about: str, asked: Wanted, within: float, progress: Callable[[Page], None]
) -> Receipt:
    """Ask until everyone has it or `within` seconds are over. Raises RemoteError or Unanswered when the first question
    is not answered; where a later one is not, what was seen before stands."""
    due, pause = time.monotonic() + within, _PAUSE
    page = ask(client, about, PUSH, asked)
    progress(page)
    while page.held != page.report.expected and time.monotonic() + pause < due:
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
        with suppress(RemoteError, Unanswered):
            page = ask(client, about, PUSH, asked)
            progress(page)
    report = page.report
    unreached, silent = report.contributors - page.held, report.expected - report.contributors
    return Receipt(
        about,
        report.expected,
        report.contributors,
        page.held,
        names(client, about, PUSH, asked, unreached, page) if unreached else Names(()),
        names(client, report.id, REQUEST, asked, silent) if silent else Names(()),
    )


def _text(element: etree._Element, name: str) -> str:
    return (element.findtext(qname(REPORT, name)) or "").strip()
