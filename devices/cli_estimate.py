"""How an answer that was gathered by exchange is printed: what it is not, and how far off an estimate may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from gossip_ws.client import Report
from gossip_ws.kernel.estimate import Estimate, Estimated, EstimatedField, EstimatedGroup
from gossip_ws.kernel.terms import Gathering


def say_worth(report: Report, periods: Sequence[int], seconds: float) -> None:
    """In place of the counts, which nobody has."""
    if report.estimate is not None:
        _say(report.estimate, periods)
    told = "estimated" if report.estimate is not None else "not exact"
    click.echo(f"{told}, by exchange between neighbours: {report.expected} registered, not counted; {seconds:.2f} s")


def worth_object(report: Report, periods: Sequence[int]) -> dict[str, Any]:
    """The same for machines; empty for what climbed a tree."""
    if report.gathering is Gathering.TREE:
        return {}
    told: dict[str, Any] = {"gathering": report.gathering.value}
    if report.estimate is not None:
        told["estimate"] = {
            "minima": report.estimate.minima,
            "error": report.estimate.error,
            "mean_error": report.estimate.mean_error,
            "groups": [_group_object(group, periods) for group in report.estimate.groups],
        }
    return told


def _say(estimate: Estimate, periods: Sequence[int]) -> None:
    for group in estimate.groups:
        click.echo(f"{group.key or 'all'}: {_range(group.count)} devices with a row")
        chosen = _chosen(group, periods)
        for what, told in (("sum", [one.sum for one in chosen]), ("mean", [one.mean for one in chosen])):
            click.echo(f"{'':12}{what:12}{''.join(f'  {_range(one)}' for one in told)}")
    click.echo(
        f"in brackets 95 % intervals; standard deviation {estimate.error:.1%} of a sum or count, "
        f"{estimate.mean_error:.1%} of a mean"
    )


def _group_object(group: EstimatedGroup, periods: Sequence[int]) -> dict[str, Any]:
    chosen = _chosen(group, periods)
    return {
        "key": group.key,
        "devices": _object(group.count),
        "sum_wh": [_object(one.sum) for one in chosen],
        "mean_wh": [_object(one.mean) for one in chosen],
    }


def _chosen(group: EstimatedGroup, periods: Sequence[int]) -> list[EstimatedField]:
    return [one for number in periods for one in group.fields if one.at == number]


def _object(told: Estimated) -> dict[str, float]:
    return {"value": told.value, "low": told.low, "high": told.high}


def _range(told: Estimated) -> str:
    return f"{told.value:.0f} [{told.low:.0f}, {told.high:.0f}]"
