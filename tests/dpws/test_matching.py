"""Types and scopes compared (WS-Discovery 1.1 section 5)."""

from __future__ import annotations

import pytest

from gossip_ws.dpws.matching import LDAP, NONE, RFC2396, RFC3986, STRCMP0, UUID, Criteria, Subject, rule_not_supported
from gossip_ws.dpws.messages import Generation, Probe, Target
from gossip_ws.kernel.errors import FaultCode
from gossip_ws.kernel.names import DEVICE, GRID, WSD, WSD_2005, DeviceId, qname
from gossip_ws.kernel.scopes import any_covers, covers, scope_path

METER = qname(GRID, "SmartMeter")


@pytest.mark.parametrize(
    ("wider", "narrower", "expected"),
    [
        ("grid://city/ssc-3", "grid://city/ssc-3", True),
        ("grid://city/ssc-3", "grid://city/ssc-3/sm-7", True),
        ("grid://city", "grid://city/ssc-3/sm-7", True),
        ("grid://city/ssc-3/sm-7", "grid://city/ssc-3", False),
        ("grid://city/ssc-3", "grid://city/ssc-30", False),
        ("grid://city/ssc", "grid://city/ssc-3", False),
        ("GRID://City/ssc-3", "grid://cITY/ssc-3/x", True),
        ("grid://city/SSC-3", "grid://city/ssc-3", False),
        ("grid://city/ssc-3/", "grid://city/ssc-3", True),
        ("grid://city/a", "grid://city//a", False),
        ("grid://city/ssc%2D3", "grid://city/ssc-3/x", True),
        ("grid://city/a%2Fb", "grid://city/a/b", False),
        ("grid://city/a", "grid://city/a%2Fb", False),
        ("grid://city/%c3%BCber", "grid://city/über/x", True),
        ("grid://city/%FF", "grid://city/%FE", False),
        ("grid://city/a?x=1#y", "grid://city/a/b?z", True),
        ("grid://city/a/./b", "grid://city/a/./b", False),
        ("grid://city/a/../b", "grid://city/b", False),
        ("grid://city/a", "grid://city/a/%2e%2E/b", False),
        ("grid://city/.a", "grid://city/.a/..b", True),
        ("grid://city", "grid:city", False),
        ("grid:city", "grid://city", False),
        ("urn:meters:a", "urn:meters:a", True),
        ("urn:meters:a", "urn:meters:ab", False),
        ("urn:meters", "urn:meters:a", False),
        ("http://city:80/x", "http://city/x", False),
    ],
)
def test_rfc3986(wider: str, narrower: str, expected: bool) -> None:
    assert covers(wider, narrower) is expected
    subject = Subject.of(Target(DeviceId("urn:uuid:a"), (DEVICE,), ("urn:other", narrower)))
    for rule in ("", RFC3986):
        wanted = Criteria.of((), (wider,), rule)
        assert wanted is not None
        assert wanted.met_by(subject) is expected


def test_nothing_given_covers_everything_and_a_long_scope_is_taken_too() -> None:
    assert any_covers((), ("grid://city",))
    assert any_covers(("grid://a", "grid://b"), ("grid://b/x",))
    assert not any_covers(("grid://a",), ())
    long = "grid://city/" + "x" * 1500
    assert scope_path(long) == (b"grid", b"//city", b"x" * 1500)


def test_all_types_and_all_scopes_must_be_there() -> None:
    subject = Subject.of(Target(DeviceId("urn:uuid:a"), (DEVICE, METER), ("grid://city/ssc-3", "feeder://f/2")))

    def met(types: tuple[str, ...], scopes: tuple[str, ...], rule: str = "") -> bool:
        wanted = Criteria.of(tuple(map(type(DEVICE), types)), scopes, rule)
        assert wanted is not None
        return wanted.met_by(subject)

    assert met((), ())
    assert met((DEVICE, METER), ("grid://city", "feeder://f"))
    assert not met((DEVICE, qname(GRID, "Appliance")), ())
    assert not met((qname("urn:elsewhere", "SmartMeter"),), ())
    assert not met((), ("grid://city", "feeder://g"))
    assert met((), ("feeder://f/2",), STRCMP0)
    assert not met((), ("feeder://f",), STRCMP0)
    assert not met((), ("Feeder://f/2",), STRCMP0)


def met(wider: str, own: tuple[str, ...], rule: str) -> bool:
    wanted = Criteria.of((), (wider,) if wider else (), rule)
    assert wanted is not None
    return wanted.met_by(Subject.of(Target(DeviceId("urn:uuid:a"), (DEVICE,), own)))


FIRST = "550e8400-e29b-41d4-a716-446655440000"


@pytest.mark.parametrize("rule", [UUID, WSD_2005 + "/uuid"])
@pytest.mark.parametrize(
    ("wider", "narrower", "expected"),
    [
        (f"uuid:{FIRST}", f"uuid:{FIRST}", True),
        (f"urn:uuid:{FIRST}", f"UUID:{FIRST.upper()}", True),
        (f"uuid:{FIRST}", f"uuid:{FIRST[:-1]}1", False),
        (f"uuid:{FIRST}", f"grid://{FIRST}", False),
        (f"uuid:{FIRST}", f"uuid:{FIRST}x", False),
        ("uuid:550e8400e29b41d4a716446655440000", f"uuid:{FIRST}", False),
        ("uuid:", "uuid:", False),
    ],
)
def test_uuid(rule: str, wider: str, narrower: str, expected: bool) -> None:
    assert met(wider, ("grid://city", narrower), rule) is expected


@pytest.mark.parametrize("rule", [LDAP, WSD_2005 + "/ldap"])
@pytest.mark.parametrize(
    ("wider", "narrower", "expected"),
    [
        ("ldap://h/dc=example,dc=com", "ldap://h/ou=meters,dc=example,dc=com", True),
        ("ldap://h/ou=meters,dc=example,dc=com", "ldap://h/ou=meters,dc=example,dc=com", True),
        ("ldap://h/ou=meters,dc=example,dc=com", "ldap://h/dc=example,dc=com", False),
        ("ldap://h/ou=meters", "ldap://h/ou=meters,dc=example", False),
        ("LDAP://H:389/DC=Example", "ldap://h/ou=a,dc=exAMPLE", True),
        ("ldap://h:390/dc=example", "ldap://h/dc=example", False),
        ("ldap://h", "ldap://h/dc=example", True),
        ("ldap://h/", "ldap://g/dc=example", False),
        ("ldap://h/dc=example??sub?(a=b)", "ldap://h/ou=a, dc=example", True),
        ("ldap://h/o=Ain't%20it%20%20fine", "ldap://h/cn=x,o=ain't it fine", True),
        (r"ldap://h/o=a\,b", r"ldap://h/cn=x,o=a\2Cb", True),
        ("ldap://h/o=a%5C%2Cb", r"ldap://h/o=a\,b", True),
        (r"ldap://h/o=a\\,dc=b", r"ldap://h/o=a\5c,dc=b", True),
        ("ldap://h/cn=a+uid=1,o=b", "ldap://h/uid=1+cn=A,o=b", True),
        ("ldap://h/cn=a,o=b", "ldap://h/uid=1+cn=A,o=b", False),
        ("ldap://h/o=%FF", "ldap://h/o=%FE", False),
        ("ldap://h/example", "ldap://h/example", False),
        ("ldap://h/o=a,", "ldap://h/o=a,", False),
        ("http://h/o=a", "http://h/o=a", False),
    ],
)
def test_ldap(rule: str, wider: str, narrower: str, expected: bool) -> None:
    assert met(wider, ("grid://city", narrower), rule) is expected


def test_none_is_met_by_whoever_has_no_scopes() -> None:
    assert met("", (), NONE)
    assert not met("", ("grid://city",), NONE)
    assert not met("grid://city", ("grid://city",), NONE)
    assert not met("grid://city", (), NONE)


def test_the_draft_calls_the_first_rule_by_the_number_of_its_day() -> None:
    assert met("grid://city", ("grid://city/ssc-3",), RFC2396)
    assert met("grid://city/x", ("grid://city/x",), WSD_2005 + "/strcmp0")
    assert not met("grid://city", ("grid://city/x",), WSD_2005 + "/strcmp0")
    assert Criteria.of((), (), WSD_2005 + "/none") is None


@pytest.mark.parametrize(("generation", "namespace"), [(Generation.OASIS, WSD), (Generation.DRAFT, WSD_2005)])
def test_a_rule_that_nobody_has_heard_of(generation: Generation, namespace: str) -> None:
    assert Criteria.of((), (), namespace + "/mine") is None
    error = rule_not_supported(Probe("urn:m:1", match_by=namespace + "/mine", generation=generation))
    assert error.fault.code is FaultCode.SENDER
    assert error.fault.subcode == qname(namespace, "MatchingRuleNotSupported")
    for rule in ("uuid", "ldap", "strcmp0"):
        assert f"{namespace}/{rule}".encode() in error.fault.detail
