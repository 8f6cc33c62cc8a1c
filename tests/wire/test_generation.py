"""A reply in the words of the generation before."""

from __future__ import annotations

from gossip_ws.kernel.names import WSA_2004
from gossip_ws.wire.envelope import MAX_ENVELOPE, MAX_REPLY, REPLY, Addressing, build, parse
from gossip_ws.wire.generation import older


def test_a_reply_larger_than_any_request_is_put_into_older_words_too() -> None:
    """A WSDL is: refused here, it would leave its client without an answer."""
    body = b'<m:wsdl xmlns:m="urn:m">' + b"x" * (2 * MAX_ENVELOPE) + b"</m:wsdl>"
    reply = build(Addressing("urn:m:a", "urn:m:1", "urn:m:to", relates_to=((REPLY, "urn:m:0"),)), body)
    made = parse(older(reply), MAX_REPLY)
    assert (made.addressing.wsa, made.addressing.message_id) == (WSA_2004, "urn:m:1")
    assert made.payload is not None
    assert made.payload.text == "x" * (2 * MAX_ENVELOPE)
