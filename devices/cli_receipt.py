"""How receipts and names are asked for and shown by the verbs: as lines, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import click

from gossip_ws.client import GossipClient, Unanswered
from gossip_ws.devices.cli_output import Progress
from gossip_ws.devices.reports import MOST_NAMES, Name, Names, Page, Receipt, receipt
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.terms import Wanted

WITHIN: Final = 10.0
"""Seconds for which a push is followed: two rounds of repair are not in it, retries over three tiers are."""
_SHOWN: Final = 20
"""Names on a terminal; JSON has all, up to MOST_NAMES."""
ASSUMPTION: Final = "the silent are as likely to have it as those that answered"


def reporting(client: GossipClient, asked: Wanted, most: float | None) -> Wanted:
    """Whom to ask for reports of a message: those it was meant for. One question waits for at most `most` seconds, but
    a second, and not longer than the service advertises."""
    advertised = client.advertised["GetReport"].policy.timeout
    timeout = advertised if most is None else min(advertised, max(most, 1.0))
    return replace(asked, variant=None, filter=None, lifetime=None, min_replies=None, min_group=None, timeout=timeout)


def ask_receipt(client: GossipClient, id: str, asked: Wanted, within: float) -> Receipt | str:
    """The receipt of the push `id`, or why there is none. Tells on a terminal how far it has come."""
    progress = Progress()

    def show(page: Page) -> None:
        silent = page.report.expected - page.report.contributors
        progress.say(f"{page.held} of {page.report.expected} have it, {silent} silent")

    if not id:
        return "the device does not say which message it was"
    try:
        return receipt(client, id, reporting(client, asked, within), within, show)
    except (RemoteError, Unanswered) as error:
        return str(error)
    finally:
        progress.clear()


def receipt_object(told: Receipt | str) -> dict[str, Any]:
    """As JSON: `receipt`, null and a reason where there is none."""
    if isinstance(told, str):
        return {"receipt": None, "error": told}
    expected, low, high = told.estimate
    return {
        "receipt": {
            "gossip_id": told.id,
            "expected": told.expected,
            "answered": told.answered,
            "reached": told.reached,
            "unreached": told.answered - told.reached,
            "silent": told.unheard,
            "unreached_names": names_object(told.unreached),
            "silent_names": names_object(told.silent),
            "names_at_most": MOST_NAMES,
            "certain": {"low": told.bounds[0], "high": told.bounds[1]},
            "estimate": {
                "of_silent": round(expected, 2),
                "low": low,
                "high": high,
                "confidence": 0.95,
                "method": "Wilson score interval",
                "assumes": ASSUMPTION,
            }
            if told.unheard
            else None,
            "everyone": told.is_whole,
        }
    }


def say_receipt(told: Receipt | str) -> None:
    """A line or a few."""
    if isinstance(told, str):
        click.echo(f"no receipt: {' '.join(told.split())}")
        return
    unreached = told.answered - told.reached
    click.echo(f"{told.reached} of {told.expected} have it, {unreached} unreached, {told.unheard} silent")
    say_names("unreached", told.unreached)
    say_names("silent", told.silent)
    if told.unheard:
        (least, most), (expected, low, high) = told.bounds, told.estimate
        click.echo(f"certain: {least} to {most} have it")
        click.echo(
            f"of the {told.unheard} silent about {expected:.1f} have it ({low} to {high} at 95 %), if {ASSUMPTION}"
        )


def names_object(names: Names) -> dict[str, Any]:
    """As JSON: all that were told, and how many devices have no name here."""
    told = [{"device": one.device, "standing": one.standing, "devices": one.devices} for one in names.told]
    return {"told": told, "unnamed": names.unnamed}


def say_names(what: str, names: Names) -> None:
    """A line each, the first ones; how many more there are."""
    for name in names.told[:_SHOWN]:
        click.echo(f"  {what}: {name.device} ({_why(name)})")
    more = _devices(names.told[_SHOWN:]) + names.unnamed
    if more:
        click.echo(f"  {what}: and {more} more{', not by name' if names.unnamed == more else ''}")


def _why(name: Name) -> str:
    return name.standing if name.devices == 1 else f"{name.standing}, {name.devices} devices"


def _devices(names: Iterable[Name]) -> int:
    return sum(name.devices for name in names)
