"""What subscribers listen with: any HTTP server."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gossip_ws.devices.events import TARIFF_CHANGED
from gossip_ws.dpws.eventing import Reference
from gossip_ws.kernel.names import TARIFF, qname
from gossip_ws.wire.envelope import Envelope, parse
from gossip_ws.wire.eventing import SUBSCRIPTION_END, read_subscription_end


class Sink:
    """Remembers what it was sent, and answers with `status`; `hold` keeps it from answering."""

    def __init__(self, status: int = 202) -> None:
        self.heard: list[Envelope] = []
        self.hold = threading.Event()
        self.hold.set()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                frame = self.rfile.read(int(self.headers["Content-Length"]))
                sink.heard.append(parse(frame))
                sink.hold.wait(5)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on standard error."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def reference(self) -> Reference:
        return Reference(f"http://127.0.0.1:{self.server.server_port}/sink")

    @property
    def versions(self) -> list[str | None]:
        """Of the tariffs that it was told of."""
        told = [one.payload for one in self.heard if one.addressing.action == TARIFF_CHANGED]
        return [one.findtext(f".//{qname(TARIFF, 'version')}") for one in told if one is not None]

    @property
    def ends(self) -> list[str]:
        return [
            read_subscription_end(one.payload).status for one in self.heard if one.addressing.action == SUBSCRIPTION_END
        ]

    def close(self) -> None:
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
