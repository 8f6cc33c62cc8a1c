"""The aggregate `report`: of what many devices know of one message. Counts are added, names are merged page by page.

Fits one response only, that of the Report service, whose element names stand here once more: a filter does not
import a service. The counts are combined as a sum's rows are; the partial form is

    <g:Reports Limit="50" Complete="true">
      <g:Rows>…</g:Rows><g:Lack Device="urn:uuid:…" Standing="missing" N="3"/>…
    </g:Reports>
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from lxml import etree

from gossip_ws.core.account import Lack, Lacking
from gossip_ws.filters.elements import canonical, read
from gossip_ws.filters.named import ROWS, Named
from gossip_ws.filters.pages import MAX_NAMES, Page, merge
from gossip_ws.kernel.contract import Shape
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.names import GOSSIP, REPORT, DeviceId, qname
from gossip_ws.kernel.terms import Filter
from gossip_ws.ports import Combination, Input

REPORT_FILTER: Final = "report"
PUSH: Final = "push"
REQUEST: Final = "request"
"""What a report is of."""
RESPONSE: Final = qname(REPORT, "GetReportResponse")
MAX_DEVICE: Final = 128
"""Characters of a device's name, as the Peer Service takes them."""

_REPORTS: Final = qname(GOSSIP, "Reports")
_LACK: Final = qname(GOSSIP, "Lack")
_NAMES: Final = qname(REPORT, "names")
_LIMIT: Final = qname(REPORT, "limit")
_COMPLETE: Final = qname(REPORT, "complete")
_LACKING: Final = qname(REPORT, "lacking")
_DEVICE: Final = qname(REPORT, "device")
_STANDING: Final = qname(REPORT, "standing")
_DEVICES: Final = qname(REPORT, "devices")
_TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False}
_MAX_DEVICES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Reports:
    """Combines the responses of GetReport."""

    counts: Named

    @classmethod
    def fit(cls, filter: Filter, shape: Shape | None) -> Reports:
        """Raises RemoteError for any other operation, or a key to group by."""
        if shape is None or shape.response != RESPONSE or filter.group_by:
            raise sender_fault("FilterNotAllowed", f"{REPORT_FILTER} is the aggregate of GetReport, ungrouped")
        return cls(Named.fit(Filter(name="sum"), shape))

    def combine(self, inputs: tuple[Input, ...], final: bool) -> Combination:
        """All inputs in one value. What is malformed is left out with its counts, and its index returned."""
        good: list[int] = []
        pages: list[Page] = []
        counts: list[Input] = []
        for index, value in enumerate(inputs):
            try:
                page, rows = self._own(value) if value.own else _received(value)
            except ValueError:
                continue
            good.append(index)
            pages.append(page)
            counts.append(rows)
        counted = self.counts.combine(tuple(counts), final)
        refused = {good[index] for index in counted.refused} | set(range(len(inputs))).difference(good)
        whole = merge(page for index, page in zip(good, pages, strict=True) if index not in refused)
        root = read(counted.value)
        return Combination(self._response(root, whole) if final else _partial(root, whole), tuple(sorted(refused)))

    def _own(self, value: Input) -> tuple[Page, Input]:
        root = read(value.value)
        names = root.find(f"{self.counts.shape.row}/{_NAMES}")
        if names is None:
            raise ValueError("a report without its page of names")
        entries = tuple(
            _entry(one.findtext(_DEVICE) or "", one.findtext(_STANDING) or "", one.findtext(_DEVICES) or "")
            for one in names.findall(_LACKING)
        )
        complete = _TRUTHS.get((names.findtext(_COMPLETE) or "").strip())
        return _page(names.findtext(_LIMIT) or "", complete, entries), value

    def _response(self, root: etree._Element, page: Page) -> bytes:
        row = root.find(self.counts.shape.row)
        if row is not None:
            names = etree.SubElement(row, _NAMES)
            etree.SubElement(names, _LIMIT).text = str(page.limit)
            etree.SubElement(names, _COMPLETE).text = str(page.complete).lower()
            for entry in page.entries:
                lacking = etree.SubElement(names, _LACKING)
                for name, text in ((_DEVICE, entry.device), (_STANDING, entry.standing), (_DEVICES, entry.devices)):
                    etree.SubElement(lacking, name).text = str(text)
        return canonical(root)


def _received(value: Input) -> tuple[Page, Input]:
    root = read(value.value)
    rows = root.find(ROWS)
    if root.tag != _REPORTS or rows is None or any(one.tag not in (ROWS, _LACK) for one in root):
        raise ValueError("not a partial of reports")
    entries = tuple(
        _entry(one.get("Device", ""), one.get("Standing", ""), one.get("N", "")) for one in root.findall(_LACK)
    )
    page = _page(root.get("Limit", ""), _TRUTHS.get(root.get("Complete", "")), entries)
    return page, replace(value, value=canonical(rows))


def _partial(rows: etree._Element, page: Page) -> bytes:
    root = etree.Element(_REPORTS, {"Limit": str(page.limit), "Complete": str(page.complete).lower()}, {"g": GOSSIP})
    root.append(rows)
    for entry in page.entries:
        etree.SubElement(
            root, _LACK, {"Device": entry.device, "Standing": entry.standing.value, "N": str(entry.devices)}
        )
    return canonical(root)


def _page(limit: str, complete: bool | None, entries: tuple[Lacking, ...]) -> Page:
    if complete is None:
        raise ValueError("a page that does not say whether it is complete")
    return Page(_number(limit, MAX_NAMES), complete, entries)


def _entry(device: str, standing: str, devices: str) -> Lacking:
    if not 0 < len(device) <= MAX_DEVICE:
        raise ValueError(f"a name has 1 to {MAX_DEVICE} characters")
    return Lacking(DeviceId(device), Lack(standing.strip()), _number(devices, _MAX_DEVICES))


def _number(digits: str, most: int) -> int:
    digits = digits.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16 and 1 <= int(digits) <= most):
        raise ValueError(f"not a whole number from 1 to {most}: {digits[:20]!r}")
    return int(digits)
