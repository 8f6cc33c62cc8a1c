"""Hosted services in Spyne: what a vendor imports, and the project's own services beside it.

The only room that imports Spyne. A vendor writes `from gossip_ws.services import Service, rpc, ...`
instead of importing Spyne, whose import has to be mended first.
"""

from gossip_ws.services._spyne import (
    AnyUri,
    AnyXml,
    Array,
    Boolean,
    ByteArray,
    ComplexModel,
    Date,
    DateTime,
    Decimal,
    Double,
    Duration,
    Enum,
    Fault,
    Float,
    Integer,
    Integer32,
    Integer64,
    Iterable,
    Mandatory,
    Service,
    String,
    Time,
    Unicode,
    UnsignedInteger,
    UnsignedInteger32,
    Uuid,
    rpc,
    srpc,
)
from gossip_ws.services.builtin import builtin_wsdl
from gossip_ws.services.contract import Call, call, state
from gossip_ws.services.gossip import aggregate, gossip_enabled, notification, push
from gossip_ws.services.hosting import SpyneHosted
from gossip_ws.services.shape import reading

__all__ = [
    "AnyUri",
    "AnyXml",
    "Array",
    "Boolean",
    "ByteArray",
    "Call",
    "ComplexModel",
    "Date",
    "DateTime",
    "Decimal",
    "Double",
    "Duration",
    "Enum",
    "Fault",
    "Float",
    "Integer",
    "Integer32",
    "Integer64",
    "Iterable",
    "Mandatory",
    "Service",
    "SpyneHosted",
    "String",
    "Time",
    "Unicode",
    "UnsignedInteger",
    "UnsignedInteger32",
    "Uuid",
    "aggregate",
    "builtin_wsdl",
    "call",
    "gossip_enabled",
    "notification",
    "push",
    "reading",
    "rpc",
    "srpc",
    "state",
]
