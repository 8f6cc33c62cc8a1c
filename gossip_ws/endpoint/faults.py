"""How a fault, or any reply, goes back over HTTP: with which status, and in which generation of WS-Addressing.

Knows no service and no path.
"""

from __future__ import annotations

from dataclasses import replace

from gossip_ws.kernel.errors import Fault, FaultCode
from gossip_ws.kernel.names import WSA
from gossip_ws.ports import Respond, Response
from gossip_ws.wire.envelope import Addressing
from gossip_ws.wire.generation import older
from gossip_ws.wire.soap import fault_envelope


def fault_response(fault: Fault, relates_to: str, blocks: bytes = b"") -> Response:
    """The answer to the message `relates_to`; `blocks` are further headers."""
    # SOAP 1.2 part 2 section 7.5.1.2: Sender is 400, everything else 500.
    status = 400 if fault.code is FaultCode.SENDER else 500
    return Response(status, fault_envelope(fault, relates_to, blocks))


def in_kind(addressing: Addressing, respond: Respond) -> Respond:
    """Who speaks WS-Addressing 2004/08 is answered in it."""
    if addressing.wsa == WSA:
        return respond

    def respond_older(response: Response) -> None:
        respond(replace(response, body=older(response.body)) if response.body else response)

    return respond_older
