"""Independent answers: the same problems as a convex solver sees them."""

from __future__ import annotations

import cvxpy
import numpy as np

from gossip_ws.routing.graph import links_of
from gossip_ws.routing.instance import Instance, Kind
from gossip_ws.routing.paths import k_shortest


def optimum(instance: Instance) -> float:
    """The least cost of any routing, by link and source, without a path anywhere; infinite if none fits."""
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


def optimum_of_five(instance: Instance) -> float:
    """The least delay cost over the five shortest paths of each demand, as the papers have it; infinite if none."""
    links = {link: number for number, link in enumerate(instance.capacity)}
    capacity = np.array(list(instance.capacity.values()))
    routes = [
        (number, path)
        for number, one in enumerate(instance.commodities)
        for path in k_shortest(instance.graph, one.source, one.target)
    ]
    over = np.zeros((len(links), len(routes)))
    whose = np.zeros((len(instance.commodities), len(routes)))
    for column, (number, path) in enumerate(routes):
        whose[number, column] = 1
        for link in links_of(path):
            over[links[link], column] = 1
    flow = cvxpy.Variable(len(routes), nonneg=True)
    load = over @ flow
    cost = cvxpy.sum(cvxpy.multiply(capacity, cvxpy.inv_pos(capacity - load))) - len(links)
    wanted = np.array([one.demand for one in instance.commodities])
    problem = cvxpy.Problem(cvxpy.Minimize(cost), [whose @ flow == wanted, load <= capacity])
    problem.solve(solver="CLARABEL")
    return float(problem.value)
