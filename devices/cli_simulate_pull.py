"""The part of `gossip-ws simulate --grid` that pulls: the demand that comes up, beside what the data say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gossip_ws.grid.population import Population
    from gossip_ws.lab.pull import Pulled


def demand(population: Population, loss: float, crashed: float, seed: int) -> Pulled:
    """Of the first day that there are profiles of. Raises LocalError."""
    from gossip_ws.lab.pull import pull

    return pull(population, population.profiles.days[0], seed, loss=loss, crashed=crashed)


def demand_object(population: Population, found: Pulled) -> dict[str, Any]:
    """As JSON has it. Energies are Wh of the three periods."""
    tally = found.tally
    return {
        "day": population.profiles.days[0],
        "pulled": found.value,
        "truth": found.truth,
        "total": found.total,
        "contributors": tally.contributors,
        "expected": tally.expected,
        "missing": tally.missing,
        "failed": tally.failed,
        "late": tally.late,
        "uncertain": tally.uncertain,
        "exact": found.is_exact,
        "time": found.seconds,
    }


def say_demand(population: Population, found: Pulled) -> None:
    """For a person."""
    tally = found.tally
    click.echo(f"demand of {population.profiles.days[0]}, pulled through the real devices, Wh by period:")
    for name, energy in (("pulled", found.value), ("truth", found.truth), ("all data", found.total)):
        click.echo(f"{name:10}" + ("no answer" if energy is None else "".join(f"{wh:>16,}" for wh in energy)))
    verdict = "exact" if found.is_exact else "NOT EXACT"
    click.echo(
        f"{verdict}: {tally.contributors} contributed of {tally.expected} expected, {tally.missing} missing, "
        f"{tally.failed} failed, {tally.late} late, {tally.uncertain} uncertain; {found.seconds:.2f} s simulated"
    )
