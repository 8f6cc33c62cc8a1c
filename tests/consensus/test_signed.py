"""Grids in which everything is signed and verified by real keys, and others meddle."""

import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid
from keyrings import key, keyring

from gossip_ws.consensus.attack import Attack, Attackers
from gossip_ws.consensus.audit import Audit
from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.door import FRESH, HELD, SENDERS, Door, Stamps
from gossip_ws.consensus.log import agreements
from gossip_ws.consensus.messages import NEVER, Announce, Metered, Propose
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.post import Post
from gossip_ws.consensus.run import Run
from gossip_ws.consensus.trust import Roll, Sealed, seal
from gossip_ws.kernel.effects import Dropped

ANNOUNCE = Announce(0, 2, (5,), NEVER)


def run(instance, conditions, share=0.0, seed=1):
    hierarchy, keys = build(instance), keyring(instance)
    attackers = Attackers(share, hierarchy, keys, key("stranger").sign, Random(seed)) if share else None
    post = Post(keys, attackers, {})
    return Run(instance, hierarchy, conditions, Random(seed), post=post).run(), post


def test_signed_devices_agree_as_unsigned_ones_do():
    instance = grid(40, 1)
    signed, post = run(instance, Conditions())
    plain = Run(instance, build(instance), Conditions(), Random(1)).run()
    assert signed.logs == plain.logs
    assert not any(audit.liars for audit in post.audits.values())
    assert not any(reason.startswith(("not ", "said ")) for reason in signed.dropped)


@pytest.mark.parametrize(
    "conditions", [Conditions(twice=0.1, held=0.1), Conditions(loss=0.1, twice=0.1, held=0.1, crashes=0.3)]
)
def test_of_meddlers_messages_none_counts(conditions):
    instance = grid(64, 2)
    attacked, post = run(instance, conditions, share=1.0)
    assert post.meddled.keys() == set(Attack)
    assert min(post.meddled.values()) > 50
    assert post.counted.total() == 0
    if not conditions.loss:
        # Where everything is heard, nothing that is said again is news.
        assert attacked.logs == run(instance, conditions)[0].logs
    assert violations(attacked.logs, settled=True) == []
    assert sum(sum(one.watts) for one in agreements(attacked.logs)) == matched(instance)


def test_where_doors_stand_open_each_kind_of_meddling_counts(monkeypatch):
    """What the test above shows is the doors' doing, and the members'."""
    monkeypatch.setattr(Door, "opened", lambda self, sealed, wall: sealed.message)
    monkeypatch.setattr("gossip_ws.consensus.member.is_in_place", lambda *_: True)
    counted = run(grid(40, 2), Conditions(patience=15.0), share=0.5)[1].counted
    assert all(counted[attack] > 0 for attack in Attack)


# A door alone.

HIERARCHY = build(grid(64, 1))
KEYS = keyring(grid(64, 1))


def sealed(stamp, to="d9"):
    return seal("d8", to, ANNOUNCE, KEYS.signs["d8"], stamp)


def test_what_is_said_again_is_not_let_in_again():
    door = Door("d9", KEYS.roll, HIERARCHY)
    assert door.opened(sealed(1_000_000), 1.0) == ANNOUNCE
    assert door.opened(sealed(1_000_000), 2.0) == Dropped("said before")
    assert door.opened(sealed(1_000_000), 1.5 + FRESH) == Dropped("not of now")
    assert door.opened(sealed(1_000_001), 1.0) == ANNOUNCE


def test_what_is_announced_to_a_nano_grid_is_let_in_by_its_members_once():
    told = sealed(1_000_000, HIERARCHY.home["d9"])
    members = [one for one in HIERARCHY.clusters[HIERARCHY.home["d9"]].children if one != "d8"]
    for name in members:
        door = Door(name, KEYS.roll, HIERARCHY)
        assert door.opened(told, 1.0) == ANNOUNCE
        assert door.opened(told, 1.0) == Dropped("said before")
    elsewhere = next(name for name in HIERARCHY.home if HIERARCHY.home[name] != told.to)
    assert Door(elsewhere, KEYS.roll, HIERARCHY).opened(told, 1.0) == Dropped("said to another")


def test_nothing_else_is_said_to_more_than_one():
    """Else one promise would be everybody's."""
    told = seal("d8", HIERARCHY.home["d9"], Propose("d8/1.0", 0, (5,), 1), KEYS.signs["d8"], 1_000_000)
    assert Door("d9", KEYS.roll, HIERARCHY).opened(told, 1.0) == Dropped("said to another")


def test_a_stamp_of_much_later_is_not_of_now_either():
    assert Door("d9", KEYS.roll, HIERARCHY).opened(sealed(2_000_000 + int(FRESH * 1e6)), 1.0) == Dropped("not of now")


def test_what_was_said_before_a_door_was_there_is_not_let_in():
    door = Door("d9", KEYS.roll, HIERARCHY, since=1.5)
    assert door.opened(sealed(1_400_000), 1.6) == Dropped("not of now")
    assert door.opened(sealed(1_550_000), 1.6) == ANNOUNCE


def test_what_was_not_let_in_does_not_shut_out_what_is():
    """Else whoever guesses a stamp keeps the true message out."""
    door = Door("d9", KEYS.roll, HIERARCHY)
    forged = replace(sealed(1_000_000), signature=bytes(64))
    assert door.opened(forged, 1.0) == Dropped("not signed by who is enrolled")
    assert door.opened(sealed(1_000_000), 1.0) == ANNOUNCE


def test_who_stands_elsewhere_than_it_is_enrolled_does_not_count():
    bus = HIERARCHY.bus["d8"]
    keys = {"d8": key("d8").public.verifies}
    for enrolled, told in ((bus, ANNOUNCE), (bus + 1, Dropped("not where it is enrolled"))):
        assert Door("d9", Roll(keys, {"d8": enrolled}), HIERARCHY).opened(sealed(1), 0.0) == told


def test_who_has_left_may_end_what_it_has_begun():
    """What it may still say is for the member to judge."""
    bus = HIERARCHY.bus["d8"]
    instance = grid(64, 1)
    left = build(replace(instance, devices=tuple(one for one in instance.devices if one.id != "d8")))
    door = Door("d9", Roll({"d8": key("d8").public.verifies}, {"d8": bus}), left)
    assert door.opened(sealed(1), 0.0) == ANNOUNCE


def test_who_floods_a_door_makes_room_for_its_own_alone():
    door = Door("d9", Roll({name: lambda *_: True for name in ("d7", "d8")}), HIERARCHY)
    kept = replace(sealed(1), sender="d7")
    door.opened(kept, 0.0)
    for stamp in range(HELD + 10):
        assert door.opened(sealed(stamp), 0.0) == ANNOUNCE
    assert door.opened(kept, 0.0) == Dropped("said before")


def test_who_floods_a_door_does_not_make_it_forget_what_was_said():
    """Else whoever has heard a device say much could have the first of it said again."""
    door = Door("d9", Roll({"d8": lambda *_: True}), HIERARCHY)
    for stamp in range(HELD + 10):
        assert door.opened(sealed(stamp), 0.0) == ANNOUNCE
    assert {door.opened(sealed(stamp), 0.0) for stamp in range(HELD + 10)} == {Dropped("said before")}


def test_a_device_that_floods_does_not_shut_out_its_meter():
    """Else it could say so much of now that what its meter says is let in by nobody."""
    door = Door("d9", Roll({"d8": lambda *_: True}), HIERARCHY)
    for stamp in range(100, HELD + 110):
        assert door.opened(sealed(stamp), 0.0) == ANNOUNCE
    told = Sealed("d8", HIERARCHY.home["d8"], Metered(0, (5,)), b"", 50)
    assert door.opened(told, 0.0) == told.message
    assert door.opened(told, 0.0) == Dropped("said before")


def test_what_a_device_has_told_itself_is_not_let_in():
    """It signs that as well, and shows it to others on boards."""
    said = Audit("d9", KEYS.roll, KEYS.signs["d9"]).own(ANNOUNCE, 1.0)
    assert Door("d9", KEYS.roll, HIERARCHY).opened(said, 1.0) == Dropped("said by itself")


def test_a_clock_that_is_set_back_does_not_let_in_again_what_was_forgotten():
    door = Door("d9", Roll({name: lambda *_: True for name in ("d8", *map(str, range(SENDERS)))}), HIERARCHY)
    assert door.opened(sealed(1_000_000), 1.0) == ANNOUNCE
    for sender in map(str, range(SENDERS)):
        assert door.opened(replace(sealed(100_000_000), sender=sender), 100.0) == ANNOUNCE
    assert door.opened(sealed(1_000_000), 1.0) != ANNOUNCE


def test_no_two_stamps_of_a_device_are_the_same():
    stamps = Stamps()
    assert [stamps.next(wall) for wall in (1.0, 1.0, 0.5, 2.0)] == [1_000_000, 1_000_001, 1_000_002, 2_000_000]
