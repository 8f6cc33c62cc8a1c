"""How urgent a frame says it is, found without parsing it. It orders queues and proves nothing.

What is believed of a message is read by the codec, from what was signed.
"""

from __future__ import annotations

from typing import Final

from gossip_ws.kernel.terms import Priority

# As canonical form has them: whatever the prefix, one space before each attribute.
_TERMS: Final = b":Terms "
_PRIORITY: Final = b' Priority="'
_WITHIN: Final = 2_048
"""Octets of the fixed part in which its priority is looked for; namespaces and the other attributes take some 300."""
_CLASSES: Final = {str(priority.value).encode(): priority for priority in Priority}
UNNAMED: Final = Priority.STATUS
"""The class of frames without a fixed part: what nodes say to one another, and discovery. They are small and answer
something. A receipt that is late costs a message sent again, a late Ack a live device's good name; so they go before
the messages of NORMAL and BULK that they are about, and wait for PROTECTION only."""


def claimed_priority(frame: bytes) -> Priority:
    """The class that the fixed part names; NORMAL where it names none that is known, `UNNAMED` without a fixed part."""
    terms = frame.find(_TERMS)
    if terms < 0:
        return UNNAMED
    found = frame.find(_PRIORITY, terms, terms + _WITHIN)
    if found < 0:
        return Priority.NORMAL
    digit = found + len(_PRIORITY)
    return _CLASSES.get(frame[digit : digit + 1], Priority.NORMAL)
