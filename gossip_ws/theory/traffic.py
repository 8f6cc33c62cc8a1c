"""How large the messages of a push are, in octets of the envelope, without the headers of UDP, IP and below.

Measured of what the codec writes, and kept to it by a test. Knows nothing of how many are sent.
"""

from __future__ import annotations

from typing import Final

PAYLOAD: Final = 2_150
"""A signed tariff of six price bands, for one scope, in its envelope."""
RECEIPT: Final = 610
ADVERT: Final = 470
FETCH: Final = 450
DIGEST: Final = 450
"""Of one message; 11 octets more for each further one."""
