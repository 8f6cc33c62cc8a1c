"""The vendor's one line: which operations of a Spyne service gossip, and how.

A decorated class behaves as before; a policy is attached for the shadow service to find. Knows nothing
of what the shadow makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Variant
from gossip_ws.services import _spyne
from gossip_ws.services.contract import is_one_way
from gossip_ws.services.shape import shape_of

S = TypeVar("S", bound=type[_spyne.Service])


def push(variant: Variant = Variant.EAGER_PUSH, **options: Any) -> GossipPolicy:
    """A policy for a one-way operation; `options` are fields of GossipPolicy. With `latest=True` a message replaces
    the one before it from the same originator, for the same types and scopes; with `one_hop=True` it goes to some
    peers of its origin and no further."""
    return _policy(variant=variant, **options)


def notification(**options: Any) -> GossipPolicy:
    """A policy for a one-way operation that only devices' own services start, with `Gossip.originate`: an alarm, say.

    In the WSDL it is a notification (WSDL 1.1 section 2.4.4): an output and no input. `options` as of `push`.
    """
    return _policy(notification=True, **options)


def aggregate(name: str, **options: Any) -> GossipPolicy:
    """A policy for a request-response operation whose replies the filter `name` combines by default.

    `sum`, `max`, `min`, `mean` or `count`; `options` are further fields of GossipPolicy.
    """
    if not name:
        raise LocalError("an aggregate needs a name: a client that names none must get one answer")
    return _policy(aggregate=name, **options)


def gossip_enabled(**policies: GossipPolicy) -> Callable[[S], S]:
    """Class decorator: `@gossip_enabled(SetTariff=push(), GetDemand=aggregate("sum"))`.

    Raises LocalError, when the class is decorated, for an operation that the service does not have, an
    aggregate on a one-way operation, none on a request-response one, or a response without one row of
    numbers to aggregate.
    """
    if not policies:
        raise LocalError("gossip_enabled names the operations that gossip")

    def decorate(service: S) -> S:
        methods = {method.operation_name: method for method in service.public_methods.values()}
        for name, policy in policies.items():
            if name not in methods:
                raise LocalError(f"{service.__name__} has no operation {name}; it has {', '.join(sorted(methods))}")
            _check(f"{service.__name__}.{name}", methods[name], policy)
        held: Mapping[str, GossipPolicy] = getattr(service, "gossip_policies", {})
        service.gossip_policies = MappingProxyType({**held, **policies})  # type: ignore[attr-defined]
        return service

    return decorate


def _policy(**options: Any) -> GossipPolicy:
    try:
        return replace(GossipPolicy(), **options)
    except TypeError as error:
        raise LocalError(f"no such gossip option: {error}") from None


def _check(name: str, method: Any, policy: GossipPolicy) -> None:
    if is_one_way(method):
        if policy.aggregate:
            raise LocalError(f"{name} is one-way: it has no replies to aggregate")
        return
    if policy.latest:
        raise LocalError(f"{name} is request-response: nothing of it stays in force")
    if policy.one_hop:
        raise LocalError(f"{name} is request-response: it spreads as far as its replies come from")
    if policy.notification:
        raise LocalError(f"{name} is request-response: a notification has no response")
    if not policy.aggregate:
        raise LocalError(f"{name} is request-response: it needs a default aggregate")
    # The namespace is settled when the service is hosted; the places of the numbers are not changed by it.
    if shape_of(method.out_message, "") is None:
        raise LocalError(
            f"{name} has no response that an aggregate could make: one kind of row with numbers, "
            "whose other children are strings or optional"
        )
