"""Which of the machine's addresses a device uses."""

from __future__ import annotations

from gossip_ws.devices.choice import EVERY, MOST, Choice
from gossip_ws.kernel.homes import Local

LOOPBACK = (Local("127.0.0.1", "lo", 1, 8), Local("::1", "lo", 1, 128))
ETH0 = (
    Local("10.71.0.5", "eth0", 2, 24),
    Local("10.71.0.6", "eth0", 2, 24),
    Local("fe80::5", "eth0", 2, 64),
    Local("fd00::5", "eth0", 2, 64),
    Local("fd00::abcd", "eth0", 2, 64),
)
ETH1 = (Local("fe80::5", "eth1", 3, 64),)
KNOWN = (*LOOPBACK, *ETH0, *ETH1)


def test_an_interface_gives_its_first_address_of_each_sort() -> None:
    assert Choice(interfaces=("eth0",)).of(KNOWN) == (ETH0[0], ETH0[3], ETH0[2])
    assert Choice(interfaces=("eth2",)).of(KNOWN) == ()


def test_every_interface_is_all_but_loopback() -> None:
    assert Choice(interfaces=(EVERY,)).of(KNOWN) == (ETH0[0], ETH0[3], ETH0[2], *ETH1)
    assert Choice(interfaces=(EVERY,)).of(LOOPBACK) == ()
    assert Choice(interfaces=("lo",)).of(KNOWN) == LOOPBACK


def test_literal_addresses_come_first_and_others_are_ignored() -> None:
    assert Choice(("10.71.0.6", "fe80::5%eth1")).of(KNOWN) == (ETH0[1], *ETH1)
    assert Choice(("10.71.0.6",), ("eth0",)).of(KNOWN) == (ETH0[1], ETH0[0], ETH0[3], ETH0[2])
    assert Choice(("192.0.2.1",)).of(KNOWN) == ()


def test_there_are_at_most_so_many() -> None:
    many = tuple(Local(f"10.0.{number}.1", f"eth{number}", number, 24) for number in range(20))
    assert Choice(interfaces=(EVERY,)).of(many) == many[:MOST]
