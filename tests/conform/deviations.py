"""What a device can do wrong, one thing at a time, and the rules that each mistake breaks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from stranger import DPWS, EPR, SCOPE, WSD, WXF, Deviation, Probed, fits

DEVIATIONS: dict[str, Deviation] = {}


def wrong(name: str, *rules: str, **what: Any) -> None:
    assert name not in DEVIATIONS
    DEVIATIONS[name] = Deviation(frozenset(rules), **what)


def swap(old: str, new: str = "") -> Callable[[str], str]:
    def edit(envelope: str) -> str:
        assert old in envelope, f"{old} is not in {envelope}"
        return envelope.replace(old, new)

    return edit


def cut(pattern: str, new: str = "") -> Callable[[str], str]:
    def edit(envelope: str) -> str:
        assert re.search(pattern, envelope), f"{pattern} is not in {envelope}"
        return re.sub(pattern, new, envelope)

    return edit


def asked(condition: Callable[[Probed], bool], answer: str) -> Callable[[Probed], str | None]:
    """Answers wrongly where the condition holds; an empty answer is silence."""
    return lambda probed: answer if condition(probed) else None


def scoped(path: str, rule: str = "") -> Callable[[Probed], bool]:
    """A Probe for one scope that ends so."""
    return lambda probed: bool(probed.scopes) and probed.scopes[0].endswith(path) and probed.rule.endswith(rule)


STRCMP0 = f"{WSD}/strcmp0"

# -- SOAP-over-UDP
wrong("five copies", "U1", gaps=(0.1, 0.1, 0.1, 0.1))
wrong("one copy", "U1", gaps=())
wrong("a fresh id for each copy", "U2", copy=lambda envelope, number: fresh(envelope, number))
wrong(
    "another number in each copy",
    "U2",
    copy=lambda one, n: one.replace('MessageNumber="', f'MessageNumber="{n * 9000 or ""}'),
)
wrong("copies are taken for new", "U3", forgets=True)
wrong("a match relates to nothing", "U5", edit={"match": cut("<a:RelatesTo>.*</a:RelatesTo>")})
wrong("two fragments", "R0029", edit={"match": swap("</s:Header>", f"<t:Pad>{'x' * 1500}</t:Pad></s:Header>")})
wrong("a large datagram", "R0029", "U6", edit={"match": swap("</s:Header>", f"<t:Pad>{'x' * 4500}</t:Pad></s:Header>")})
wrong("junk is answered", "U7", junk="answer")
wrong("junk kills it", "U7", junk="die")
wrong("a soap.udp address", "U8", "D16", edit={"match": swap("<d:XAddrs>", "<d:XAddrs>soap.udp://127.0.0.1/x ")})


def fresh(envelope: str, number: int) -> str:
    return re.sub("<a:MessageID>urn:uuid:....", f"<a:MessageID>urn:uuid:{number:04}", envelope)


# -- discovery
wrong("no discovery at all", "R1009", "R1013", "R1015", multicast=lambda _: "", instead={"probe": "unknown"})
wrong("no multicast", "R1009", multicast=lambda _: "")
wrong("a service answers Probes", "R1001", extra="/bell")
wrong("a match with another action", "R1016", edit={"match": cut("(Probe|Resolve)Matches</a:Action>", "Hi</a:Action>")})
wrong("no strcmp0", "R1019", multicast=asked(lambda probed: probed.rule == STRCMP0, ""))
wrong("no rfc3986 by name", "R1019", multicast=asked(scoped("", "rfc3986"), ""))
wrong("types without Device", "R1020", edit={"match": swap("<d:Types>p:Device ", "<d:Types>")})
wrong("no Probe by HTTP", "R1015", instead={"probe": "unknown", "probe_miss": "unknown", "probe_rule": "unknown"})
wrong("no directed match", "R1021", instead={"probe": "probe_miss"})
wrong("a match in any case", "R1022", instead={"probe_miss": "probe"})
wrong("a fault for no match", "R1022", instead={"probe_miss": "unknown"})
wrong(
    "Hello without a version", "D1", announced=lambda one: re.sub("<d:MetadataVersion>.*</d:MetadataVersion>", "", one)
)
wrong("Hello to nobody", "D1", announced=lambda one: one.replace("<a:To>urn:docs-oasis", "<a:To>urn:other"))
wrong("no Bye", "D3", announcements=("Hello",))
wrong("a version at each restart", "D4", announced=lambda one: one.replace("Version>3<", "Version>4<"))
wrong("InstanceId goes back", "D11", announced=lambda one: one.replace('InstanceId="1001"', 'InstanceId="999"'))
wrong("no MetadataVersion", "D5", edit={"match": cut("<d:MetadataVersion>.*</d:MetadataVersion>")})
wrong("MetadataVersion is text", "D5", edit={"match": swap("Version>3<", "Version>three<")})
wrong("empty matches", "D6", multicast=asked(lambda probed: not fits(probed), "empty"))
wrong("no Resolve", "D8", multicast=asked(lambda probed: bool(probed.device), ""))
wrong("everybody's Resolve", "D8", multicast=asked(lambda probed: bool(probed.device), "match"))
wrong("some of the types", "D9", multicast=asked(lambda probed: "NoSuchType" in str(probed.types), "match"))
wrong(
    "prefixes count",
    "D9",
    multicast=asked(lambda probed: bool(probed.types) and b"p:Device" not in probed.frame, ""),
)
wrong("any scope", "D10", multicast=asked(scoped("urn:gossip-ws:conform:scope"), "match"))
wrong("no scope", "D10", multicast=asked(lambda probed: probed.scopes == (SCOPE,) and not probed.rule, ""))
wrong("half a segment", "D10a", multicast=asked(scoped("/hall/Line"), "match"))
wrong("any case", "D10a", multicast=asked(scoped("/HALL/lINE2"), "match"))
wrong("no scope above", "D10a", multicast=asked(lambda one: one.scopes == (f"{SCOPE[:-6]}",) and not one.rule, ""))
wrong("the host's case", "D10a", multicast=asked(lambda one: "PLANT" in str(one.scopes), ""))
wrong("a prefix under strcmp0", "D10d", multicast=asked(scoped("/hall", "strcmp0"), "match"))
wrong("an unknown rule matches", "D10f", multicast=asked(scoped("", "no-such-rule"), "match"))
wrong("an unknown rule by HTTP", "D10f", instead={"probe_rule": "probe_miss"})
wrong("the rules are not told", "D10f", edit={"probe_rule": cut("<s:Detail>.*</s:Detail>")})
wrong("no AppSequence", "D11", edit={"match": cut("<d:AppSequence .*?/>")})
wrong("one number for all", "D11", edit={"match": cut('MessageNumber=".*?"', 'MessageNumber="7"')})
wrong("the version moves", "D13", edit={"probe": swap("Version>3<", "Version>4<")})
wrong("no addresses", "D15", edit=dict.fromkeys(("match", "probe"), cut("<d:XAddrs>.*</d:XAddrs>")))
wrong("http and https", "D16", edit={"match": swap("<d:XAddrs>", "<d:XAddrs>https://127.0.0.1:1/ ")})

# -- messaging
wrong("no chunks", "R0001", takes_chunks=False)
wrong("no urn:uuid", "R0004", epr="urn:other:device")
wrong("another name in Get", "R0005", edit=dict.fromkeys(("get", "get_url", "get_again"), swap(EPR, "urn:uuid:other")))
wrong(
    "reference parameters",
    "R0007",
    edit={
        "match": swap(
            "</a:Address></a:EndpointReference>", "</a:Address><a:ReferenceParameters/></a:EndpointReference>"
        )
    },
)
wrong("Get is 404", "R0012", status={"get_url": 404, "get": 404, "get_again": 404})
wrong("a fault is 200", "R0013", status={"unknown": 200})
wrong("a reply relates to nothing", "R0019", edit={"get_again": cut("<a:RelatesTo>.*</a:RelatesTo>")})
wrong("a large reply", "R0026", edit={"metadata": swap("</s:Header>", f"<t:Pad>{'x' * 33_000}</t:Pad></s:Header>")})
wrong("a long address", "R0027", edit=dict.fromkeys(("get", "get_again"), swap("/bell</", f"/bell?{'x' * 2048}</")))
wrong("one-way is 200", "R0030", status={"ping": 200})
wrong("any ReplyTo", "R0031", instead={"reply_to": "get"})
wrong("a bare fault for ReplyTo", "R0031", edit={"reply_to": cut("<s:Subcode>.*</s:Subcode>")})
wrong("text/xml", "R0034", content_type={"get": "text/xml", "get_again": "text/xml"})
wrong("a fault relates to nothing", "R0040", edit={"unknown": cut("<a:RelatesTo>.*</a:RelatesTo>")})
wrong("a service is a name", "R0042", edit=dict.fromkeys(("get", "get_again"), cut("http://[^<]*/bell", "urn:bell")))
wrong("no action is fine", "R5005", instead={"no_action": "get"})
wrong("a reply without action", "R5005", edit={"get_again": cut("<a:Action>.*</a:Action>")})
wrong(
    "another reply's action", "GET.Action", edit=dict.fromkeys(("get_url", "get"), swap("/GetResponse", "/PutResponse"))
)

# -- faults
wrong("any version", "R2023", instead={"version": "unknown"})
wrong("understands everything", "R2024", instead={"must_understand": "get"})
wrong("a fault without action", "FAULT.Action", edit={"unknown": cut("<a:Action>.*</a:Action>")})
wrong("a bare fault", "FAULT.ActionNotSupported", edit={"unknown": cut("<s:Subcode>.*</s:Subcode>")})
wrong("a bare subcode", "FAULT.Subcode", edit={"sub_address": swap("a:DestinationUnreachable", "BadPhase")})

# -- description
BOTH = ("get", "get_again", "get_url")
wrong("no transport address", "GET.To", instead={"get_url": "unknown"})
wrong("two bodies", "R2044", edit={"get": swap("</x:Metadata>", "</x:Metadata><t:More/>")})
wrong(
    "no dialect",
    "XSD.Section",
    edit={"get": swap("</x:Metadata>", "<x:MetadataSection><t:X/></x:MetadataSection></x:Metadata>")},
)
wrong(
    "an empty section",
    "XSD.Section",
    edit={"get": swap("</x:Metadata>", '<x:MetadataSection Dialect="u:x"/></x:Metadata>')},
)
wrong(
    "two models",
    "R2038",
    edit=dict.fromkeys(BOTH, cut(f'(<x:MetadataSection Dialect="{DPWS}/ThisModel">.*?</x:MetadataSection>)', r"\1\1")),
)
wrong("a model that changes", "R2012", edit={"get_again": swap("Acme", "Emca")})
wrong("no model name", "XSD.ThisModel", edit=dict.fromkeys(BOTH, cut("<p:ModelName>.*</p:ModelName>")))
wrong("a long name", "XSD.ThisModel", edit=dict.fromkeys(BOTH, swap("Acme", "A" * 256)))
wrong(
    "another order",
    "XSD.ThisModel",
    edit=dict.fromkeys(BOTH, cut("(<p:Manufacturer>.*</p:Manufacturer>)(<p:ModelName>.*</p:ModelName>)", r"\2\1")),
)
wrong(
    "no ThisDevice",
    "R2039",
    edit=dict.fromkeys(BOTH, cut(f'<x:MetadataSection Dialect="{DPWS}/ThisDevice">.*?</x:MetadataSection>')),
)
wrong("a device that changes", "R2014", edit={"get_again": swap("Front", "Back")})
wrong("two serial numbers", "XSD.ThisDevice", edit=dict.fromkeys(
    BOTH, swap("</p:ThisDevice>", "<p:SerialNumber>1</p:SerialNumber><p:SerialNumber>2</p:SerialNumber></p:ThisDevice>")
))  # fmt: skip
wrong("another dialect", "R2040", edit=dict.fromkeys(BOTH, swap(f"{DPWS}/Relationship", f"{DPWS}/Relation")))
wrong("a relationship that goes", "R2029", edit={"get_again": cut("<p:Hosted>.*</p:Hosted>")})
wrong("one id twice", "XSD.Relationship", edit=dict.fromkeys(BOTH, cut("(<p:Hosted>.*</p:Hosted>)", r"\1\1")))
wrong("no Types", "XSD.Relationship", edit=dict.fromkeys(BOTH, cut("<p:Types>t:Bell</p:Types>")))
wrong(
    "another action",
    "MEX.Action",
    edit={"metadata": cut("<a:Action>.*</a:Action>", f"<a:Action>{WXF}/GetResponse</a:Action>")},
)
wrong("no Hosted of its own", "MEX.Relationship", edit={"metadata": cut("<p:Hosted>.*</p:Hosted>")})
wrong(
    "no WSDL",
    "MEX.WSDL",
    edit={"metadata": cut('(?s)<x:MetadataSection Dialect="http://schemas.xmlsoap.org/wsdl/">.*</x:MetadataSection>')},
)
wrong("another port type", "WSDL.Types", edit=dict.fromkeys(BOTH, swap("<p:Types>t:Bell", "<p:Types>t:Horn")))
PING = '<xs:element name="Ping"/>'
IMPORT = '<xs:import namespace="urn:o" schemaLocation="http://standards.example/o.xsd"/>'
wrong("an import", "WSDL.SelfContained", edit={"metadata": swap(PING, IMPORT)})
wrong(
    "a namespace of nobody",
    "WSDL.SelfContained",
    edit={"metadata": swap('<xs:element name="Ping"/>', '<xs:import namespace="urn:o"/>')},
)
wrong("rpc", "R2019", edit={"metadata": swap('style="document"', 'style="rpc"')})
wrong("encoded", "R2019", edit={"metadata": swap('use="literal"', 'use="encoded"')})
wrong("SOAP 1.1 alone", "R2020", edit={"metadata": swap("/wsdl/soap12/", "/wsdl/soap/")})
wrong(
    "a source without events",
    "R2028",
    edit={"metadata": cut('(?s)<wsdl:operation name="Rang"><wsdl:output.*?</wsdl:operation>')},
)
wrong("no profile", "POLICY.Profile", edit={"metadata": swap('URI="#profile"', 'URI="#other"')})

# -- eventing
NO_RESPONSE = cut("<e:SubscribeResponse>.*</e:SubscribeResponse>", "<t:No/>")
wrong("no Push", "R3009", edit=dict.fromkeys(("subscribe", "subscribe_all"), NO_RESPONSE))
wrong("any mode", "R3010", instead={"sub_mode": "subscribe"})
wrong("no filter", "R3008", "R3011", instead={"subscribe": "sub_dialect"})
wrong("any dialect", "R3012", instead={"sub_dialect": "subscribe"})
wrong("filters not supported", "R3011", "R3012", edit={"sub_dialect": swap("RequestedUnavailable", "NotSupported")})
wrong("any action", "R3020", instead={"sub_nothing": "subscribe"})
wrong("any address", "R3017", instead={"sub_address": "subscribe"})
wrong("any end", "R3018", instead={"sub_end": "subscribe"})
wrong("a point in time", "R3005", edit={"subscribe": swap("PT1M", "2031-01-01T00:00:00Z")})
wrong("no Renew", "R3006", instead={"renew": "unknown"})
wrong("no time", "R3016", instead={"sub_time": "subscribe"})
wrong("no status", "R3015", instead={"getstatus": "gone"})
wrong(
    "a body after the end",
    "WSE.Unsubscribe",
    edit={"unsubscribe": swap("<s:Body>", "<s:Body><e:UnsubscribeResponse/>")},
)
wrong("the gone live on", "WSE.Unknown", instead={"gone": "renew"})
wrong("the gone are 200", "WSE.Unknown", status={"gone": 200})
wrong("parameters without a mark", "WSE.Parameters", edit={"event": swap(' a:IsReferenceParameter="true"')})
wrong("no parameters", "WSE.Parameters", edit={"event": cut("<c:Token.*</c:Token>")})

HARMLESS = {
    "status may be refused": Deviation(instead={"getstatus": "unknown"}),
    "other prefixes": Deviation(edit={"get": lambda one: one.replace("x:M", "y:M").replace("xmlns:x", "xmlns:y")}),
}
