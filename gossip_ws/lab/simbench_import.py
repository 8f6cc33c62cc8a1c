"""From a SimBench grid to the compact file that `gossip_ws.grid` reads.

The only module that knows SimBench's tables. It needs the `simbench` package (the `lab` extra), which is
loaded when a grid is imported and not before. What is derived is described in grid/data/README.md.
"""

from __future__ import annotations

import gzip
import heapq
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from math import hypot, sqrt
from pathlib import Path
from typing import Any, Final

from gossip_ws.grid.population import along
from gossip_ws.kernel.errors import LocalError

log = logging.getLogger(__name__)

FORMAT: Final = "gossip-ws grid 1"
WEEKS: Final = ("2016-01-18", "2016-04-18", "2016-07-18", "2016-10-17")
"""First days (Mondays) of one week a season, all clear of the change to and from summer time."""
RESOLUTION: Final = 10_000
"""Steps of a profile value of 1."""
OHM: Final = 10_000
"""Impedances are in steps of 0.1 mOhm."""
QUARTERS: Final = 96

_METER = re.compile(r"[HGL]\d")
_APPLIANCES = (
    (re.compile(r"Air|Soil"), "heat-pump"),
    (re.compile(r"HLS"), "home-charger"),
    (re.compile(r"APLS"), "work-charger"),
)

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]
"""The rows of each pandapower element table as plain mappings, `index` among their keys."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One line, or a closed switch between two buses (then without impedance). Ohm."""

    to: int
    r: float
    x: float


@dataclass(frozen=True, slots=True)
class Tree:
    """The shortest paths by |Z| from a root: `buses` in that order, the root first and its own parent.

    `parent` are positions in `buses`; r and x of the edge to the parent, ohm. In a radial feeder, which is
    what SimBench's low voltage is with its open switches out, this is the feeder itself.
    """

    buses: tuple[int, ...]
    parent: tuple[int, ...]
    r: tuple[float, ...]
    x: tuple[float, ...]

    def distance(self, one: int, other: int) -> float:
        """Sum of |Z| along the path between two positions, ohm."""
        return along(self.parent, self.r, self.x, one, other)


def import_grid(code: str, folder: Path, weeks: Sequence[str] = WEEKS) -> Path:
    """Write `folder`/CODE.json.gz from SimBench grid `code` and return its path.

    weeks: first days, YYYY-MM-DD, of the weeks of profiles to keep. Raises LocalError when `simbench` is
    not installed or has no such grid, or a week is not within its year.
    """
    try:
        simbench = import_module("simbench")
    except ImportError:
        raise LocalError("importing a grid needs the laboratory: pip install gossip-ws[lab]") from None
    if code not in simbench.collect_all_simbench_codes():
        raise LocalError(f"SimBench has no grid {code!r}")
    net = simbench.get_simbench_net(code)
    names = ("bus", "line", "trafo", "switch", "load", "sgen", "storage", "ext_grid")
    tables = {name: net[name].reset_index().to_dict("records") for name in names}
    # The relative profiles only: simbench.get_absolute_values multiplies every column by every load, which
    # takes 8 to 16 GB for a grid of two voltages.
    profiles = {
        **{name.removesuffix("_pload"): values for name, values in _columns(net, "load") if name.endswith("_pload")},
        **dict(_columns(net, "renewables")),
        **dict(_columns(net, "storage")),
    }
    grid = derive(code, tables)
    grid["profiles"] = cut(profiles, used(grid), list(net.profiles["load"]["time"]), weeks)
    grid["made_with"] = f"simbench {version('simbench')}"
    path = folder / f"{code}.json.gz"
    write(grid, path)
    return path


def write(grid: Mapping[str, Any], path: Path) -> None:
    """Write the file: the same octets for the same grid."""
    text = json.dumps(grid, separators=(",", ":"), allow_nan=False)
    path.write_bytes(gzip.compress(text.encode("ascii"), 9, mtime=0))


def derive(code: str, tables: Tables) -> dict[str, Any]:
    """The grid's topology and devices, without profiles. Raises LocalError when there is no low voltage in it."""
    level = {row["index"]: row["vn_kv"] for row in tables["bus"]}
    graph = _graph(tables)
    low = [row for row in _transformers(tables) if level[row["lv_bus"]] < 1]
    if not low:
        raise LocalError(f"no transformer to low voltage in {code}")
    upper = [row["lv_bus"] for row in _transformers(tables) if level[row["hv_bus"]] > 60 > level[row["lv_bus"]] >= 1]
    roots = sorted(set(upper or [row["bus"] for row in tables["ext_grid"]]))
    feeders = shortest_paths(graph, roots)
    at = {bus: position for position, bus in enumerate(feeders.buses)}
    meters, appliances = _by_bus(_meters(tables)), _by_bus(_appliances(tables))
    areas = []
    for row in low:
        if row["hv_bus"] not in at:
            raise LocalError(f"{row['name']} is not connected to the substation")
        areas.append(_area(row, at[row["hv_bus"]], shortest_paths(graph, [row["lv_bus"]]), meters, appliances))
    log.info("%s: %d areas, %d appliances moved", code, len(areas), sum(area["moved"] for area in areas))
    return {
        "format": FORMAT,
        "licence": "SimBench data, Meinecke et al., https://simbench.de; database ODbL 1.0, contents DbCL 1.0",
        "code": code,
        "medium_voltage": _tree(feeders),
        "areas": areas,
    }


def used(grid: Mapping[str, Any]) -> list[str]:
    """The names of the profiles that the grid's devices follow, sorted."""
    return sorted(
        {name for area in grid["areas"] for part in ("meters", "appliances") for name in area[part]["profile"]}
    )


def cut(
    profiles: Mapping[str, Sequence[float]], names: Iterable[str], times: Sequence[str], weeks: Sequence[str]
) -> dict[str, Any]:
    """Seven days from each of `weeks`, as steps of 1/RESOLUTION, each value as the difference to the one before.

    times: SimBench's `DD.MM.YYYY hh:mm`, one a quarter of an hour.
    """
    starts = []
    for week in weeks:
        year, month, day = week.split("-")
        first = f"{day}.{month}.{year}"
        try:
            start = times.index(f"{first} 00:00")
        except ValueError:
            raise LocalError(f"{week} is not in the profiles") from None
        # A change of summer time makes a day of 92 or 100 quarters.
        if len(times) < start + 7 * QUARTERS or any(
            not times[start + QUARTERS * k].endswith(" 00:00") for k in range(7)
        ):
            raise LocalError(f"the week of {week} is not seven days of 24 hours")
        starts.append(start)
    series = {}
    for name in names:
        values = profiles[name]
        whole = [round(float(values[k]) * RESOLUTION) for start in starts for k in range(start, start + 7 * QUARTERS)]
        series[name] = [now - before for before, now in zip([0, *whole], whole, strict=False)]
    return {"weeks": list(weeks), "resolution": RESOLUTION, "differences": series}


def shortest_paths(graph: Mapping[int, Sequence[Edge]], roots: Sequence[int]) -> Tree:
    """Dijkstra by |Z| from `roots`, which become one: the further ones hang at the first without impedance."""
    buses: list[int] = []
    parent: list[int] = []
    rs: list[float] = []
    xs: list[float] = []
    done: set[int] = set()
    queue = [(0.0, order, root, 0, 0.0, 0.0) for order, root in enumerate(roots)]
    order = len(queue)
    while queue:
        so_far, _, bus, by, r, x = heapq.heappop(queue)
        if bus in done:
            continue
        done.add(bus)
        here = len(buses)
        buses.append(bus)
        parent.append(by)
        rs.append(r)
        xs.append(x)
        for edge in graph.get(bus, ()):
            if edge.to not in done:
                heapq.heappush(queue, (so_far + hypot(edge.r, edge.x), order, edge.to, here, edge.r, edge.x))
                order += 1
    return Tree(tuple(buses), tuple(parent), tuple(rs), tuple(xs))


def _graph(tables: Tables) -> dict[int, list[Edge]]:
    """Lines and bus couplers, without what an open switch takes out; transformers join no two parts."""
    graph: dict[int, list[Edge]] = defaultdict(list)
    opened = {row["element"] for row in tables["switch"] if row["et"] == "l" and not row["closed"]}
    for row in tables["line"]:
        if row["in_service"] and row["index"] not in opened:
            share = row["length_km"] / row["parallel"]
            r, x = row["r_ohm_per_km"] * share, row["x_ohm_per_km"] * share
            graph[row["from_bus"]].append(Edge(row["to_bus"], r, x))
            graph[row["to_bus"]].append(Edge(row["from_bus"], r, x))
    for row in tables["switch"]:
        if row["et"] == "b" and row["closed"]:
            graph[row["bus"]].append(Edge(row["element"], 0.0, 0.0))
            graph[row["element"]].append(Edge(row["bus"], 0.0, 0.0))
    return graph


def _transformers(tables: Tables) -> list[Row]:
    opened = {row["element"] for row in tables["switch"] if row["et"] == "t" and not row["closed"]}
    return [row for row in tables["trafo"] if row["in_service"] and row["index"] not in opened]


def _by_bus(devices: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for device in devices:
        found[device["bus"]].append(device)
    return found


def _meters(tables: Tables) -> Iterable[dict[str, Any]]:
    for row in tables["load"]:
        if _METER.match(str(row["profile"])):
            yield _device(row, "meter")


def _appliances(tables: Tables) -> Iterable[dict[str, Any]]:
    for row in tables["load"]:
        for pattern, kind in _APPLIANCES:
            if pattern.match(str(row["profile"])):
                yield _device(row, kind)
    for row in tables["sgen"]:
        if str(row["profile"]).startswith("PV"):
            yield _device(row, "photovoltaic")
    for row in tables["storage"]:
        yield {**_device(row, "storage"), "capacity": round(row["max_e_mwh"] * 1e6)}


def _device(row: Row, kind: str) -> dict[str, Any]:
    # What feeds in is a positive sgen but a negative storage: the magnitude is kept, the kind says which way.
    return {
        "kind": kind,
        "bus": row["bus"],
        "profile": row["profile"],
        "power": round(abs(row["p_mw"]) * 1e6),
        "reactive": round(row["q_mvar"] * 1e6),
        "capacity": 0,
    }


def _area(
    transformer: Row,
    position: int,
    tree: Tree,
    meters: Mapping[int, list[dict[str, Any]]],
    appliances: Mapping[int, list[dict[str, Any]]],
) -> dict[str, Any]:
    """One substation's area: every meter of its tree, and each appliance with the meter it is attached to."""
    ours = [{**meter, "bus": at} for at, bus in enumerate(tree.buses) for meter in meters.get(bus, ())]
    homes: dict[int, list[int]] = defaultdict(list)
    for number, meter in enumerate(ours):
        homes[meter["bus"]].append(number)
    attached: list[dict[str, Any]] = []
    moved = 0
    for at, bus in enumerate(tree.buses):
        for turn, appliance in enumerate(appliances.get(bus, ())):
            if not ours:
                raise LocalError(f"{transformer['name']} has appliances and no meter")
            near = homes.get(at)
            if not near:
                moved += 1
                near = homes[min(homes, key=lambda home: (tree.distance(at, home), home))]
            # Several meters at one bus take the bus's appliances in turn.
            attached.append({**appliance, "bus": at, "meter": near[turn % len(near)]})
    attached.sort(key=lambda appliance: int(appliance["meter"]))
    volts, rated = transformer["vn_lv_kv"] * 1e3, transformer["sn_mva"] * 1e6 * transformer["parallel"]
    z, r = (transformer[key] / 100 * volts**2 / rated for key in ("vk_percent", "vkr_percent"))
    return {
        "name": str(transformer["subnet"]),
        "medium_voltage_bus": position,
        "rated": round(rated),
        "volts": round(volts),
        "r": round(r * OHM),
        "x": round(sqrt(z**2 - r**2) * OHM),
        "moved": moved,
        "low_voltage": _tree(tree),
        "meters": _table(ours, ("bus", "profile", "power", "reactive")),
        "appliances": _table(attached, ("meter", "bus", "kind", "profile", "power", "reactive", "capacity")),
    }


def _tree(tree: Tree) -> dict[str, list[int]]:
    return {
        "parent": list(tree.parent),
        "r": [round(r * OHM) for r in tree.r],
        "x": [round(x * OHM) for x in tree.x],
    }


def _table(rows: Sequence[Row], columns: Sequence[str]) -> dict[str, list[Any]]:
    return {column: [row[column] for row in rows] for column in columns}


def _columns(net: Any, table: str) -> Iterable[tuple[str, Sequence[float]]]:
    frame = net.profiles[table]
    return ((name, frame[name].tolist()) for name in frame.columns if name != "time")
