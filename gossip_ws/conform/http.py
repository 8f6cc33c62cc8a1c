"""One HTTP request on a connection of its own, as a tester needs it: chunked if asked for, status and headers told.

Not the client of a device: that one keeps connections, knows only envelopes and hides what a server does wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Final

import h11

from gossip_ws.conform.reading import MAX_READ, Message, read
from gossip_ws.kernel.address import Address
from gossip_ws.net.http_link import CONTENT_TYPE

_PIECE: Final = 200
"""Octets of a chunk: an envelope is a handful."""
_HEADERS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked, by its wsa:MessageID, and what came back. `status` is 0 when nothing did; `error` says why."""

    message_id: str
    status: int = 0
    content_type: str = ""
    body: bytes = b""
    error: str = ""

    @property
    def message(self) -> Message | None:
        """The envelope that came back."""
        return read(self.body)

    def __str__(self) -> str:
        if self.error:
            return self.error
        message = self.message
        if message is None:
            return f"HTTP {self.status}, {'no envelope' if self.body else 'empty'}"
        if message.fault is not None:
            return f"HTTP {self.status}, {message.fault}"
        return f"HTTP {self.status}, {message.action or 'an envelope without wsa:Action'}"


async def post(
    to: Address, frame: bytes, message_id: str, *, within: float, chunked: bool = False, source: str = ""
) -> Exchange:
    """POST one envelope. Never raises for what the other side does; it has `within` seconds for everything."""
    length = [("Transfer-Encoding", "chunked")] if chunked else [("Content-Length", str(len(frame)))]
    return await _exchange(to, "POST", [("Content-Type", CONTENT_TYPE), *length], frame, message_id, within, source)


async def get(to: Address, *, within: float) -> Exchange:
    """GET a document."""
    return await _exchange(to, "GET", [], b"", "", within, "")


async def _exchange(
    to: Address, method: str, headers: list[tuple[str, str]], frame: bytes, message_id: str, within: float, source: str
) -> Exchange:
    try:
        async with asyncio.timeout(within):
            local = (source, 0) if source else None
            reader, writer = await asyncio.open_connection(to.host, to.port, local_addr=local)
            try:
                return await _speak(reader, writer, to, method, headers, frame, message_id)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError:
        return Exchange(message_id, error=f"no HTTP response within {within:g} s")
    except (OSError, ValueError) as error:
        # ValueError: a host that is not even a name.
        return Exchange(message_id, error=f"no HTTP connection: {error}")
    except h11.RemoteProtocolError as error:
        return Exchange(message_id, error=f"not HTTP: {error}")
    except h11.LocalProtocolError:
        return Exchange(message_id, error=f"no request line has the address {to}")


async def _speak(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    to: Address,
    method: str,
    headers: list[tuple[str, str]],
    frame: bytes,
    message_id: str,
) -> Exchange:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADERS)
    host = f"[{to.host}]" if ":" in to.host else to.host
    request = h11.Request(
        method=method,
        target=to.path or "/",
        headers=[("Host", f"{host}:{to.port}"), ("Connection", "close"), *headers],
    )
    writer.write(connection.send(request) or b"")
    for start in range(0, len(frame), _PIECE):
        writer.write(connection.send(h11.Data(data=frame[start : start + _PIECE])) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()
    status, content_type = 0, ""
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
        elif isinstance(event, h11.Response):
            status = event.status_code
            content_type = next(
                (value.decode("latin-1") for name, value in event.headers if name == b"content-type"), ""
            )
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_READ:
                return Exchange(message_id, status, content_type, error=f"a response of more than {MAX_READ} octets")
        elif isinstance(event, h11.EndOfMessage):
            return Exchange(message_id, status, content_type, bytes(body))
        elif not isinstance(event, h11.InformationalResponse):
            return Exchange(message_id, error="the connection was closed before a response")
