"""The Peer Service's table: what is given out follows what was put in."""

from dataclasses import replace

from builders import peer

from gossip_ws.core.peers import PeerTable, Relation, Role


def test_relations_follow_registrations_refreshes_and_farewells():
    table = PeerTable(Role.SUBSTATION, 10)
    equal, parent = peer("ssc2"), peer("is0")
    table.put(equal, 10.0, proven=True)
    assert (table.related(Relation.EQUAL), table.related(Relation.CHILD)) == ((equal,), ())
    table.put(parent, 10.0, proven=False)
    table.put(equal, 20.0, proven=False)
    assert table.related(Relation.EQUAL) == (equal,)
    table.prove(parent.device)
    assert set(table.related(Relation.EQUAL)) == {equal, parent}, "the information system is one of the WAN's"
    assert table.expire(15.0) == (parent.device,), "an unchanged refresh lasts as long as any other"
    assert table.related(Relation.EQUAL) == (equal,)
    table.forget(equal.device)
    assert table.related(Relation.EQUAL) == ()


def test_an_unchanged_refresh_that_brings_the_proof_counts():
    table = PeerTable(Role.SUBSTATION, 10)
    equal = peer("ssc2")
    table.put(equal, 10.0, proven=False)
    assert table.related(Relation.EQUAL) == ()
    table.put(equal, 10.0, proven=True)
    assert table.related(Relation.EQUAL) == (equal,)


def test_who_lies_in_an_area_follows_the_table():
    table = PeerTable(Role.SUBSTATION, 40)
    near, far = replace(peer("ssc2"), scopes=("grid://t/2",)), replace(peer("ssc3"), scopes=("grid://t/3",))
    for one in (near, far):
        table.put(one, 10.0, proven=True)
    assert table.overlapping(Relation.EQUAL, ()) == (near, far)
    for _ in range(2):
        assert table.overlapping(Relation.EQUAL, ("grid://t/2/7",)) == (near,)
        assert table.overlapping(Relation.EQUAL, ("grid://t",)) == (near, far)
        assert table.overlapping(Relation.CHILD, ("grid://t",)) == ()
    moved = replace(far, scopes=("grid://t/2",), incarnation=far.incarnation + 1)
    table.put(moved, 10.0, proven=True)
    assert table.overlapping(Relation.EQUAL, ("grid://t/2",)) == (near, moved)
    for number in range(40):
        assert table.overlapping(Relation.EQUAL, (f"grid://t/2/{number}",)) == (near, moved)
    table.forget(near.device)
    assert table.overlapping(Relation.EQUAL, ("grid://t/2",)) == (moved,)


def test_who_is_around_a_place_comes_nearest_first_and_not_who_is_in_it():
    table = PeerTable(Role.METER, 10)
    parent, top = replace(peer("ssc2"), scopes=("grid://t/2",)), replace(peer("is0"), scopes=("grid://t",))
    other, there = replace(peer("ssc3"), scopes=("grid://t/3",)), replace(peer("sm5"), scopes=("grid://t/2/5",))
    for one in (parent, there):
        table.put(one, 10.0, proven=True)
    for elder in (top, other):
        table.put_elder(elder)
    assert table.around("grid://t/2/5") == (parent, top)
    assert table.around("grid://t/3/1") == (other, top)
    assert table.around("grid://u/1") == ()
    table.mark_down(parent.device)
    assert table.around("grid://t/2/5") == (top,)
