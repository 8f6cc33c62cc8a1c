"""A gossip-aware client around zeep: says what it wants of gossip, and reads what an answer is worth.

```python
demand = GossipClient("http://10.1.0.1:8080/Metering", user="dispatcher", password="…")
answer = demand.call("GetDemand", day, wanted=wanted(filter="sum", scopes=["grid://city/ssc-3"], timeout=5))
print(answer.value, answer.report.contributors, answer.report.missing)
```

For every device's own reply, part after part:

```python
for device, value in demand.replies("GetDemand", day, wanted=wanted(scopes=["grid://city/ssc-3"])):
    print(device, value)
```

Or, with a zeep client of one's own: `header = GossipHeader(wanted(filter="max"))`, then
`zeep.Client(shadow_wsdl, plugins=[header])` and, after a call, `header.report`.

zeep is imported when a client is made, not before: it costs 41 MB and 0.2 s. It adds wsa:Action, To and MessageID
by itself where a WSDL has wsam:Action, as all of ours have. Knows no discovery and no service in particular.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from io import BytesIO
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from lxml import etree

from gossip_ws.core.messages import Tally
from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.errors import Fault, FaultCode, GossipError, LocalError, RemoteError
from gossip_ws.kernel.estimate import Estimate
from gossip_ws.kernel.names import GOSSIP, SOAP12, QName, qname
from gossip_ws.kernel.terms import ALL, Budget, Filter, Gathering, Tier, Variant, Wanted
from gossip_ws.wire.envelope import MAX_ENVELOPE, Addressing, Envelope, build, message_id, parse, parser
from gossip_ws.wire.estimates import decode_estimate
from gossip_ws.wire.nodes import decode_gathering, decode_report
from gossip_ws.wire.replies import GET_REPLIES_ACTION, REPLIES, Part, read_part, read_replies, write_get_replies
from gossip_ws.wire.soap import read_fault
from gossip_ws.wire.terms import encode_wanted
from gossip_ws.wire.wsdl import MAX_WSDL, Advertised, read_policies

TIMEOUT: Final = 30.0
"""Seconds for one call that says nothing of its own."""
_GRACE: Final = 5.0
"""Seconds that the transport waits longer than the entry does for its replies."""


_ID: Final = re.compile("[0-9a-f]{64}")


class Unanswered(GossipError):
    """Nobody answered, or not with SOAP: no word on whether the call had an effect."""


@dataclass(frozen=True, slots=True)
class Report(Tally):
    """What an answer stands for. `id`: of the gossip message, hexadecimal. `gathering`: by exchange nobody counts, so
    the answer is not exact. `estimate`: how far off it may be, of an answer that is estimated."""

    id: str = ""
    gathering: Gathering = Gathering.TREE
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`value`: what zeep makes of the response, None for a one-way operation. `report`: None where gossip was not
    asked, as at an original address. `envelope`: the response as it came. `id`: of the gossip message, hexadecimal,
    empty where the device does not say it."""

    value: Any
    report: Report | None = None
    envelope: Envelope | None = None
    id: str = ""


class Single(NamedTuple):
    """One device's reply. `value`: what zeep makes of the response, or a Fault that says why there is none."""

    device: str
    value: Any


def wanted(
    *,
    filter: str = "",
    group_by: str = "",
    fanout: int | None = None,
    rounds: int | None = None,
    types: Iterable[str] = (),
    scopes: Iterable[str] = (),
    timeout: float | None = None,
    min_replies: int | None = None,
    min_group: int | None = None,
    lifetime: float | None = None,
    binding: Binding | None = None,
    variant: Variant | None = None,
    gathering: Gathering | None = None,
) -> Wanted:
    """What to ask for; what is not said is left to the device.

    `filter`: the name of an aggregate (sum, max, min, mean, count, set, estimate), or an XSLT stylesheet as text.
    `gathering`: by a tree, or by exchange between neighbours, for which max, min, set and estimate are. `fanout` and
    `rounds` hold inside the WAN and inside the field alike. `types` in Clark notation. `timeout` and `lifetime` in
    seconds. `variant`: how a one-way message spreads. Raises LocalError for one of `fanout` and `rounds` without
    the other, or a stylesheet that is grouped.
    """
    if (fanout is None) != (rounds is None):
        raise LocalError("fanout and rounds are given together")
    budgets: tuple[Budget, ...] = ()
    if fanout is not None and rounds is not None:
        budgets = (Budget(Tier.WAN, fanout, rounds), Budget(Tier.FAN, fanout, rounds))
    chosen = None
    if "<" in filter:
        if group_by:
            raise LocalError("a stylesheet groups by itself")
        chosen = Filter(stylesheet=filter)
    elif filter:
        chosen = Filter(name=filter, group_by=group_by)
    elif group_by:
        raise LocalError("to group is up to a filter: name one")
    return Wanted(
        variant=variant,
        gathering=gathering,
        binding=binding,
        budgets=budgets,
        types=tuple(map(QName, types)),
        scopes=tuple(scopes),
        filter=chosen,
        lifetime=lifetime,
        min_replies=min_replies,
        timeout=timeout,
        min_group=min_group,
    )


class GossipHeader:
    """A zeep plugin: puts `wanted` into each request as `g:Wanted`, keeps the last reply and its report."""

    def __init__(self, wanted: Wanted | None = None) -> None:
        self.wanted = wanted
        self.reply: Envelope | None = None
        self.has_gone = False
        """Was a request made of the values? What is wrong from then on is wrong with what came back."""

    @property
    def report(self) -> Report | None:
        """What the last reply stands for, a fault too. Raises RemoteError when the block is malformed."""
        told = decode_report(self.reply) if self.reply is not None else None
        if told is None or self.reply is None:
            return None
        id, tally = told
        return Report(
            tally.contributors,
            tally.expected,
            tally.missing,
            tally.failed,
            tally.late,
            tally.uncertain,
            id.hex(),
            decode_gathering(self.reply),
            decode_estimate(self.reply),
        )

    def egress(self, envelope: Any, http_headers: Any, operation: Any, binding_options: Any) -> tuple[Any, Any]:
        """zeep: a request that is about to go."""
        self.reply = None
        self.has_gone = True
        if self.wanted is not None:
            header = envelope.find(f"{{{SOAP12}}}Header")
            if header is None:
                header = etree.Element(f"{{{SOAP12}}}Header")
                envelope.insert(0, header)
            header.append(etree.fromstring(encode_wanted(self.wanted)))
        return envelope, http_headers

    def ingress(self, envelope: Any, http_headers: Any, operation: Any) -> tuple[Any, Any]:
        """zeep: a reply that has come. Raises RemoteError when it is no envelope of ours."""
        # Read again, by the hardened parser: zeep's tree may hold what ours refuses.
        self.reply = parse(etree.tostring(envelope), 4 * MAX_ENVELOPE)
        return envelope, http_headers


class GossipClient:
    """Calls the shadow of the hosted service at `url`, its own address, its shadow's or either one's WSDL.

    `user` and `password` go as HTTP Basic credentials, to the host of `url` and no other. Raises Unanswered when
    there is no WSDL, RemoteError when it cannot be read, LocalError when no operation of it gossips.
    """

    def __init__(self, url: str, *, user: str = "", password: str = "", timeout: float = TIMEOUT) -> None:
        from requests import Session
        from requests.auth import HTTPBasicAuth
        from zeep.exceptions import Error as ZeepError

        # zeep has no types.
        zeep: Any = import_module("zeep")
        self._timeout = timeout
        self._host = urlsplit(url).netloc
        self._session = Session()
        # Proxies and .netrc of the environment are for the internet, not for devices.
        self._session.trust_env = False
        self._session.hooks["response"].append(self._remember_id)
        self._id = ""
        if user:
            credentials = HTTPBasicAuth(user, password)
            self._session.auth = lambda request: (
                credentials(request) if urlsplit(str(request.url)).netloc == self._host else request
            )
        try:
            self.advertised: dict[str, Advertised] = {told.operation: told for told in read_policies(self._fetch(url))}
            """By operation, what the WSDL says of gossip."""
            if not self.advertised:
                raise LocalError(f"no operation of {url} gossips")
            self.shadow = next(iter(self.advertised.values())).addresses.shadow
            """The shadow's address."""
            if user and urlsplit(self.shadow).netloc != self._host:
                raise LocalError(f"credentials stay with {self._host}: the shadow is at {self.shadow}, call it there")
            self.header = GossipHeader()
            self._transport = zeep.Transport(session=self._session, timeout=timeout, operation_timeout=timeout)
            self.zeep = zeep.Client(
                BytesIO(self._fetch(self.shadow)),
                transport=self._transport,
                settings=zeep.Settings(strict=True, forbid_dtd=True, forbid_entities=True),
                plugins=[self.header],
            )
        except (ZeepError, etree.XMLSyntaxError) as error:
            self._session.close()
            raise Unanswered(f"no usable WSDL at {self.shadow}: {error}") from None
        except GossipError:
            self._session.close()
            raise

    def call(self, operation: str, *values: Any, wanted: Wanted | None = None, **named: Any) -> Answer:
        """Call an operation of the shadow, its parameters as zeep takes them.

        Raises RemoteError with the fault that came back (`header.report` then says who contributed), Unanswered
        when none came, LocalError for values that the WSDL does not allow, or where every reply is wanted.
        """
        if wanted is not None and wanted.filter is not None and wanted.filter.is_all:
            raise LocalError("every single reply is more than one answer: ask with `replies`")
        value = self._called(operation, values, named, wanted)
        report = self.header.report
        return Answer(value, report, self.header.reply, report.id if report is not None else self._id)

    def replies(self, operation: str, *values: Any, wanted: Wanted | None = None, **named: Any) -> Iterator[Single]:
        """Every device's own reply to an operation of the shadow, those first that are known first.

        Nothing is asked before the first one is. The parts of the answer are fetched as they are needed; from the
        first on `header.report` says what all of them stand for. Those that failed are in it as far as they are known.
        Raises as `call` does.
        """
        told = self.advertised.get(operation)
        if told is not None and not told.policy.aggregate:
            raise LocalError(f"{operation} is one-way: it has no replies")
        asked = replace(wanted or Wanted(), filter=Filter(name=ALL))
        with self.zeep.settings(raw_response=True):
            response = self._called(operation, values, named, asked)
        envelope = self._taken(response.content)
        part = read_part(envelope)
        bindings = (port.binding for service in self.zeep.wsdl.services.values() for port in service.ports.values())
        bound = next(bindings).get(operation)
        while True:
            if part is None or envelope.payload is None or envelope.payload.tag != REPLIES:
                raise Unanswered(f"{self.shadow} does not give single replies")
            for reply in read_replies(envelope.payload):
                yield Single(reply.device, reply.fault or _parsed(bound, reply.value))
            if part.number == part.of:
                return
            expected = replace(part, number=part.number + 1)
            envelope = self._fetched_part(expected)
            part = read_part(envelope)
            if part != expected:
                raise Unanswered(f"not the part that {self.shadow} was asked for")

    def _fetched_part(self, part: Part) -> Envelope:
        from requests import RequestException

        asked = Addressing(GET_REPLIES_ACTION, message_id(), self.shadow)
        frame = build(asked, write_get_replies(part.id, part.number))
        headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
        try:
            with self._session.post(
                self.shadow, frame, headers=headers, timeout=self._timeout, stream=True, allow_redirects=False
            ) as response:
                content = b""
                for octets in response.iter_content(MAX_ENVELOPE + 1):
                    content += octets
                    if len(content) > MAX_ENVELOPE:
                        break
        except RequestException as error:
            raise Unanswered(f"no answer from {self.shadow}: {_short(error)}") from None
        return self._taken(content)

    def _taken(self, content: bytes) -> Envelope:
        """The reply, kept as the last one. Raises RemoteError for a fault in it."""
        self.header.reply = parse(content)
        fault = read_fault(self.header.reply)
        if fault is not None:
            raise RemoteError(fault)
        return self.header.reply

    def _called(self, operation: str, values: Any, named: Any, wanted: Wanted | None) -> Any:
        """What zeep makes of the reply."""
        from requests import RequestException
        from requests_toolbelt.multipart.decoder import ImproperBodyPartContentException
        from zeep.exceptions import Error as ZeepError
        from zeep.exceptions import TransportError

        told = self.advertised.get(operation)
        if told is None:
            raise LocalError(f"{operation} does not gossip at {self.shadow}: {', '.join(self.advertised)} do")
        asked = wanted.timeout if wanted is not None and wanted.timeout is not None else told.policy.timeout
        self._transport.operation_timeout = max(self._timeout, asked + _GRACE)
        self.header.wanted = wanted
        self.header.reply = None
        self.header.has_gone = False
        self._id = ""
        try:
            return getattr(self.zeep.service, operation)(*values, **named)
        except (RequestException, TransportError, ImproperBodyPartContentException) as error:
            raise Unanswered(f"no answer from {self.shadow}: {_short(error)}") from None
        except (ZeepError, AttributeError, LookupError, TypeError, ValueError) as error:
            if not self.header.has_gone:
                raise LocalError(f"{operation} does not take that: {error}") from None
            fault = read_fault(self.header.reply) if self.header.reply is not None else None
            if fault is None:
                raise Unanswered(f"an answer from {self.shadow} that its WSDL does not allow: {error}") from None
            raise RemoteError(fault) from None

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _remember_id(self, response: Any, *args: Any, **options: Any) -> None:
        # A 202 has no envelope: the id of what was accepted stands in a header of HTTP.
        found = response.headers.get("Gossip-Id", "")
        self._id = found if _ID.fullmatch(found) else ""

    def _fetch(self, url: str) -> bytes:
        from requests import RequestException

        address = url if "?" in url else url + "?wsdl"
        try:
            with self._session.get(address, timeout=self._timeout, stream=True, allow_redirects=False) as response:
                if response.status_code != 200:
                    raise Unanswered(f"no WSDL at {address}: HTTP status {response.status_code}")
                found = b""
                for part in response.iter_content(65_536):
                    found += part
                    if len(found) > MAX_WSDL:
                        raise Unanswered(f"the WSDL at {address} is larger than {MAX_WSDL} octets")
                return found
        except (RequestException, ValueError) as error:
            raise Unanswered(f"no WSDL at {address}: {_short(error)}") from None


def _parsed(bound: Any, value: bytes) -> Any:
    """What zeep makes of one response element. It was made by a device: what the WSDL does not allow is its fault."""
    from zeep.exceptions import Error as ZeepError

    try:
        element = etree.fromstring(value, parser())
        # zeep reads another element as a response without anything in it.
        if element.tag != bound.output.body.qname.text:
            raise ValueError(f"not a {bound.output.body.qname.localname}: {element.tag}")
        return bound.process_reply(etree.fromstring(build(Addressing(), value), parser()))
    except (ZeepError, etree.XMLSyntaxError, ValueError) as error:
        reason = f"a reply that its WSDL does not allow: {error}"
        return Fault(FaultCode.RECEIVER, qname(GOSSIP, "ReplyRefused"), reason)


def _short(error: Exception) -> str:
    """requests nests its reasons; the innermost is what happened."""
    inner: BaseException = error
    while inner.args and isinstance(inner.args[0], BaseException):
        inner = inner.args[0]
    reason = getattr(inner, "reason", None)
    return str(reason if isinstance(reason, BaseException) else inner).rpartition(": ")[2] or type(inner).__name__
