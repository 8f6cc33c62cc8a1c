"""The tiers of a population, read from a TOML file: `[[tier]]` tables, from the top down.

Only what the file says. Knows nothing of what is planned or simulated with the tiers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gossip_ws.devices.toml import Table
from gossip_ws.kernel.errors import LocalError
from gossip_ws.theory.tiers import MOST_DEVICES, Segment, checked

_MOST_DELAY: Final = 86_400.0
_MOST_BANDWIDTH: Final = 1e15


def load_tiers(file: Path, *, loss: float = 0.0, crashed: float = 0.0) -> tuple[Segment, ...]:
    """The tiers of a file, at least one; `loss` and `crashed` are of those that say none.

    Raises LocalError, one line that names the file, the tier and the key: no such file, no TOML, an unknown key, a
    value out of range, two tiers of one name.
    """
    top = Table.load(file)
    tables = top.tables("tier")
    top.end()
    if not tables:
        top.fail("tier", "missing: a table [[tier]] for each tier, from the top down")
    tiers = [_tier(table, loss, crashed) for table in tables]
    try:
        return checked(tiers)
    except LocalError as error:
        raise LocalError(f"{file}: {error}") from None


def _tier(table: Table, loss: float, crashed: float) -> Segment:
    unset = Segment("unset", 1)
    name = table.text("name")
    nodes = table.integer("nodes", least=1, most=MOST_DEVICES)
    groups = table.integer("groups", unset.groups, least=1, most=MOST_DEVICES)
    loss = table.number("loss", loss, least=0.0, most=1.0)
    crashed = table.number("crashed", crashed, least=0.0, most=1.0)
    delay = table.number("delay", unset.delay, least=0.0, most=_MOST_DELAY)
    # At least one bit a second; infinity, where a tier says nothing, is no bound.
    bandwidth = table.number("bandwidth", least=1.0, most=_MOST_BANDWIDTH) if "bandwidth" in table else unset.bandwidth
    table.end()
    try:
        return Segment(name, nodes, groups, loss, crashed, delay, bandwidth)
    except LocalError as error:
        raise LocalError(f"{table.where}: {error}") from None
