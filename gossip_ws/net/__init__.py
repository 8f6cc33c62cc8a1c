"""Frames over real sockets: UDP, multicast and HTTP/1.1 on asyncio. Knows nothing of SOAP, XML or gossip."""
