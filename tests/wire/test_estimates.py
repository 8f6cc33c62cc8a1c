"""The block that says how far off an estimate may be, and what of it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.core.messages import Tally
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.estimate import Estimate, Estimated, EstimatedField, EstimatedGroup
from gossip_ws.kernel.names import GossipId, QName, qname
from gossip_ws.kernel.terms import Gathering
from gossip_ws.wire.envelope import Addressing, Envelope, build, parse
from gossip_ws.wire.estimates import decode_estimate
from gossip_ws.wire.nodes import decode_gathering, decode_report, encode_report

ABOUT = GossipId(bytes(range(32)))
TALLY = Tally(1, 12, uncertain=11)
WH = qname("urn:m", "energyWh")
# As they read on the wire: six digits.
numbers = st.floats(0, 1e30).map(lambda value: float(f"{value:.6g}"))
estimated = st.builds(Estimated, numbers, numbers, numbers)
fields = st.builds(EstimatedField, st.sampled_from([WH, QName("power")]), st.integers(0, 9), estimated, estimated)
groups = st.builds(
    EstimatedGroup,
    st.sampled_from(["", "household", 'a <quoted> "key" & more']),
    estimated,
    st.lists(fields, max_size=4).map(tuple),
)
estimates = st.builds(Estimate, st.integers(1, 65_536), numbers, numbers, st.lists(groups, max_size=4).map(tuple))
ONE = Estimate(
    256,
    0.0627456,
    0.0887356,
    (
        EstimatedGroup(
            "", Estimated(12, 10, 14), (EstimatedField(WH, 0, Estimated(600, 500, 700), Estimated(50, 40, 60)),)
        ),
    ),
)


def answer(blocks: bytes) -> Envelope:
    return parse(build(Addressing("urn:r"), b"<a/>", blocks))


@given(estimates)
def test_what_is_written_is_read(estimate: Estimate) -> None:
    told = answer(encode_report(ABOUT, TALLY, Gathering.SPREAD, estimate))
    assert decode_estimate(told) == estimate
    assert decode_gathering(told) is Gathering.SPREAD
    assert decode_report(told) == (ABOUT, TALLY)


def test_an_exact_answer_is_told_apart() -> None:
    exact = encode_report(ABOUT, TALLY)
    assert b"Gathering" not in exact
    assert (decode_gathering(answer(exact)), decode_estimate(answer(exact))) == (Gathering.TREE, None)
    spread = encode_report(ABOUT, TALLY, Gathering.SPREAD)
    assert b'Gathering="spread"' in spread
    assert b"Error" not in spread
    assert b'Gathering="spread" Error="0.06275"' in encode_report(ABOUT, TALLY, Gathering.SPREAD, ONE)
    assert (decode_gathering(answer(b"")), decode_estimate(answer(b""))) == (Gathering.TREE, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'K="256"', b'K="0"'),
        (b'K="256"', b""),
        (b'Count="12"', b'Count="nan"'),
        (b'Count="12"', b'Count="inf"'),
        (b'Count="12"', b'Count="-1"'),
        (b'Count="12"', b'Count="twelve"'),
        (b'SumLow="500"', b""),
        (b'At="1"', b'At="0"'),
        (b"{urn:m}energyWh", b"two words"),
        (b"<g:Group", b"<g:Odd/><g:Group"),
        (b"<g:Field", b"<g:Odd/><g:Field"),
        (b"<g:Group", b"<g:Group/>" * 32 + b"<g:Group"),
        (b"<g:Field", b"<g:Field/>" * 256 + b"<g:Field"),
        (b'MeanError="', b'MeanError="' + b"0" * 32),
    ],
)
def test_what_cannot_be_read_is_malformed(old: bytes, new: bytes) -> None:
    octets = encode_report(ABOUT, TALLY, Gathering.SPREAD, ONE)
    assert old in octets
    with pytest.raises(RemoteError) as caught:
        decode_estimate(answer(octets.replace(old, new, 1)))
    assert caught.value.fault.subcode.endswith("Malformed")


def test_a_gathering_that_nobody_knows_is_malformed() -> None:
    with pytest.raises(RemoteError, match="Gathering"):
        decode_gathering(answer(encode_report(ABOUT, TALLY, Gathering.SPREAD).replace(b"spread", b"smear")))
