"""The `g:Estimate` block, beside the report of an answer that is estimated. Knows how it is written and not how the
numbers came about.
"""

from __future__ import annotations

from math import isfinite
from typing import Final

from lxml import etree

from gossip_ws.kernel.estimate import Estimate, Estimated, EstimatedField, EstimatedGroup
from gossip_ws.kernel.names import GOSSIP, QName, qname
from gossip_ws.wire.envelope import Envelope, attribute
from gossip_ws.wire.values import Attributes, attributes, clark, integer, malformed, required

ESTIMATE: Final = qname(GOSSIP, "Estimate")
MAX_GROUPS: Final = 32
MAX_FIELDS: Final = 256
"""Fields of all groups together."""
MAX_MINIMA: Final = 65_536
_MAX_KEY: Final = 64
_MAX_NUMBER: Final = 32
_GROUP: Final = qname(GOSSIP, "Group")
_FIELD: Final = qname(GOSSIP, "Field")


def encode_estimate(estimate: Estimate) -> bytes:
    """The header block."""
    groups = "".join(map(_write_group, estimate.groups))
    return (
        f'<g:Estimate xmlns:g="{GOSSIP}" K="{estimate.minima}" Error="{_number(estimate.error)}"'
        f' MeanError="{_number(estimate.mean_error)}">{groups}</g:Estimate>'
    ).encode()


def decode_estimate(envelope: Envelope) -> Estimate | None:
    """What the reply says of its error; None where it is no estimate. Raises RemoteError, Malformed."""
    block = envelope.header(ESTIMATE)
    if block is None:
        return None
    if len(block) > MAX_GROUPS or sum(map(len, block)) > MAX_FIELDS:
        malformed(f"an Estimate of more than {MAX_GROUPS} groups or {MAX_FIELDS} fields")
    values = attributes(block)
    return Estimate(
        minima=integer(values, "K", MAX_MINIMA, least=1),
        error=_read_number(values, "Error"),
        mean_error=_read_number(values, "MeanError"),
        groups=tuple(map(_read_group, block)),
    )


def _write_group(group: EstimatedGroup) -> str:
    key = f" Key={attribute(group.key)}" if group.key else ""
    return f"<g:Group{key}{_write('Count', group.count)}>{''.join(map(_write_field, group.fields))}</g:Group>"


def _write_field(field: EstimatedField) -> str:
    numbers = _write("Sum", field.sum) + _write("Mean", field.mean)
    return f'<g:Field Name={attribute(field.name)} At="{field.at + 1}"{numbers}/>'


def _read_group(element: etree._Element) -> EstimatedGroup:
    if element.tag != _GROUP:
        malformed("an Estimate holds Groups")
    values = attributes(element)
    key = required(values, "Key", _MAX_KEY) if "Key" in values else ""
    return EstimatedGroup(key, _read(values, "Count"), tuple(map(_read_field, element)))


def _read_field(element: etree._Element) -> EstimatedField:
    if element.tag != _FIELD:
        malformed("a Group holds Fields")
    values = attributes(element)
    at = integer(values, "At", MAX_FIELDS, least=1) - 1
    return EstimatedField(QName(clark(values.get("Name", ""))), at, _read(values, "Sum"), _read(values, "Mean"))


def _write(name: str, told: Estimated) -> str:
    return f' {name}="{_number(told.value)}" {name}Low="{_number(told.low)}" {name}High="{_number(told.high)}"'


def _read(values: Attributes, name: str) -> Estimated:
    return Estimated(*(_read_number(values, name + end) for end in ("", "Low", "High")))


def _number(value: float) -> str:
    # Six digits: no estimate is that good.
    return f"{value:.6g}"


def _read_number(values: Attributes, name: str) -> float:
    text = required(values, name, _MAX_NUMBER)
    try:
        value = float(text)
    except ValueError:
        malformed(f"{name} is not a number: {text}")
    if not isfinite(value) or value < 0:
        malformed(f"{name} is not a number of 0 or more: {text}")
    return value
