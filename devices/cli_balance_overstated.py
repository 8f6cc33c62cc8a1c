"""What `gossip-ws balance --overstate` says: day by day, with and without weighing announcements by what meters saw."""

from __future__ import annotations

from random import Random
from typing import Any

from gossip_ws.consensus.checker import Violation
from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.deviance import Deviance, overstating, simulated
from gossip_ws.consensus.instance import Instance


class Overstated:
    """share: of the devices that give anything, how many announce twice of it. Raises LocalError where nobody does."""

    def __init__(
        self, instance: Instance, hierarchy: Hierarchy, conditions: Conditions, share: float, days: int, seed: int
    ) -> None:
        self.devices = overstating(instance, share, Random(f"overstate/{seed}"))
        self.plain, self.weighed = (
            simulated(instance, hierarchy, self.devices, conditions, Random(seed), days, weighed=weighed)
            for weighed in (False, True)
        )

    @property
    def is_bad(self) -> bool:
        """Do any logs break a promise to the other side? What is not given is none: no log knows of it."""
        return bool(self._violations)

    @property
    def _violations(self) -> list[Violation]:
        return [found for one in (self.plain, self.weighed) for day in one.days for found in day.violations]

    def object(self) -> dict[str, Any]:
        """For --json: W summed over periods."""
        return {
            "overstating": sorted(self.devices),
            "optimum": self.plain.optimum,
            "as announced": _object(self.plain),
            "weighed": _object(self.weighed),
            "violations": [{"rule": one.rule, "what": one.what} for one in self._violations],
        }

    def lines(self) -> list[str]:
        """For a person."""
        lines = [
            f"{len(self.devices)} devices announce twice what they give; at most {self.plain.optimum:,} W can be given",
            f"{'':5} {'as announced':>28} {'weighed by the meters':>28}",
            f"{'day':5} {'agreed W':>14} {'given W':>13} {'agreed W':>14} {'given W':>13}",
        ]
        lines += [
            f"{day:<5} {one.agreed:14,} {one.given:13,} {other.agreed:14,} {other.given:13,}"
            for day, (one, other) in enumerate(zip(self.plain.days, self.weighed.days, strict=True), 1)
        ]
        return lines + [f"VIOLATED {one.rule}: {one.what}" for one in self._violations]


def _object(deviance: Deviance) -> list[dict[str, int]]:
    return [{"agreed": day.agreed, "delivered": day.given} for day in deviance.days]
