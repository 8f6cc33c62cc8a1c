"""Types and scopes compared (WS-Discovery 1.1 section 5)."""

from __future__ import annotations

import pytest

from gossip_ws.dpws.matching import RFC3986, STRCMP0, Criteria, Subject, rule_not_supported
from gossip_ws.dpws.messages import Target
from gossip_ws.kernel.errors import FaultCode
from gossip_ws.kernel.names import DEVICE, GRID, WSD, DeviceId, qname
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


def test_a_rule_that_is_none_of_ours() -> None:
    assert Criteria.of((), (), WSD + "/ldap") is None
    error = rule_not_supported(WSD + "/ldap")
    assert error.fault.code is FaultCode.SENDER
    assert error.fault.subcode == qname(WSD, "MatchingRuleNotSupported")
    assert RFC3986.encode() in error.fault.detail
    assert STRCMP0.encode() in error.fault.detail
