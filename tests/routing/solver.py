"""Independent answers: the same problems as a convex solver sees them, by link and source, without a path anywhere."""

from __future__ import annotations

import cvxpy
import numpy as np

from gossip_ws.routing.instance import Instance, Kind


def optimum(instance: Instance) -> float:
    """The least cost of any routing; infinite if none fits."""
    links = list(instance.capacity)
    capacity = np.array([instance.capacity[link] for link in links])
    leaving = np.zeros((instance.nodes, len(links)))
    for number, (source, target) in enumerate(links):
        leaving[source, number] += 1
        leaving[target, number] -= 1
    sources = sorted({one.source for one in instance.commodities})
    wanted = np.zeros((instance.nodes, len(sources)))
    for one in instance.commodities:
        wanted[one.source, sources.index(one.source)] += one.demand
        wanted[one.target, sources.index(one.source)] -= one.demand
    flow = cvxpy.Variable((len(links), len(sources)), nonneg=True)
    load = cvxpy.sum(flow, axis=1)
    if instance.kind is Kind.MM1:
        cost = cvxpy.sum(cvxpy.multiply(capacity, cvxpy.inv_pos(capacity - load))) - len(links)
    else:
        cost = cvxpy.sum(load)
    problem = cvxpy.Problem(cvxpy.Minimize(cost), [leaving @ flow == wanted, load <= capacity])
    problem.solve(solver="CLARABEL")
    return float(problem.value)
