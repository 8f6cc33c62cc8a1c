"""Which own address suits whom, and what is told of them to whom."""

from __future__ import annotations

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.homes import Home, Local, is_link_local, nearest, suited, told_to, told_to_all


def home(host: str, interface: str, index: int, prefix: int) -> Home:
    http = Address(Binding.HTTP, host, 80)
    return Home(Local(host, interface, index, prefix), None, http)


WAN = home("10.71.0.5", "eth0", 2, 24)
LINK = home("fe80::5", "eth0", 2, 64)
FAN = home("10.71.1.5", "eth1", 3, 24)
UNIQUE = home("fd00:71::5", "eth1", 3, 64)
OTHER_LINK = home("fe80::5", "eth1", 3, 64)
ALL = (WAN, LINK, FAN, UNIQUE, OTHER_LINK)


def test_what_is_on_the_link() -> None:
    assert WAN.local.is_on_link("10.71.0.200")
    assert not WAN.local.is_on_link("10.71.1.5")
    assert not WAN.local.is_on_link("fd00:71::5")
    assert not WAN.local.is_on_link("name")
    assert Local("127.0.0.1", "lo", 1, 8).is_on_link("127.45.1.1")
    assert UNIQUE.local.is_on_link("fd00:71::abcd:1")
    assert LINK.local.is_on_link("fe80::99%eth0")
    assert not LINK.local.is_on_link("fe80::99%eth1")
    assert (LINK.local.zoned, UNIQUE.local.zoned) == ("fe80::5%eth0", "fd00:71::5")
    assert [is_link_local(host) for host in ("febf::1", "fe80::1%eth0", "fec0::1", "169.254.0.1")] == [1, 1, 0, 0]


def test_one_of_the_same_subnet_suits_best_then_one_of_the_same_family() -> None:
    assert suited(ALL, "10.71.1.9") == (FAN, WAN, UNIQUE, LINK, OTHER_LINK)
    assert suited(ALL, "192.0.2.1") == (WAN, FAN, UNIQUE, LINK, OTHER_LINK)
    assert suited(ALL, "2001:db8::1") == (UNIQUE, WAN, FAN, LINK, OTHER_LINK)
    assert suited(ALL, "fe80::9%eth1") == (OTHER_LINK, UNIQUE, WAN, FAN, LINK)
    assert suited(ALL, "meter.example") == (WAN, FAN, UNIQUE, LINK, OTHER_LINK)


def test_a_link_local_address_is_told_to_its_own_link_alone() -> None:
    assert told_to(ALL, "10.71.0.9") == (WAN, FAN, UNIQUE)
    assert told_to(ALL, "fe80::9%eth0") == (LINK, UNIQUE, WAN, FAN)
    assert told_to((LINK,), "10.71.0.9") == (LINK,)
    assert told_to_all(ALL) == (WAN, FAN, UNIQUE)
    assert told_to_all((LINK, WAN)) == (WAN, LINK)


def test_another_device_is_called_where_it_is_nearest() -> None:
    far, near, six, link = (
        Address(Binding.HTTP, host, 80) for host in ("10.9.9.9", "10.71.1.7", "fd00:71::7", "fe80::7")
    )
    assert nearest(ALL, (far, link, near)) == near
    assert nearest((WAN,), (six, link, far)) == far
    assert nearest((LINK, WAN), (six, link)) == link
    assert nearest((UNIQUE,), (near, far, six)) == six
    assert nearest((), (far, near)) == far
    assert nearest(ALL, ()) is None
