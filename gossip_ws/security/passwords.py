"""Callers' passwords: kept as scrypt hashes, proved at a bounded cost. Knows no rule and no message.

A hash is written `scrypt$N$r$p$salt$hash`, the last two in base64 (RFC 7914).
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from gossip_ws.kernel.errors import LocalError, receiver_fault

_COST: Final = (2**14, 8, 1)
"""N, r, p of a new hash: 16 MiB and some 50 ms."""
_LENGTH: Final = 32
_MAX_REMEMBERED: Final = 64
_BURST: Final = 8.0
_A_SECOND: Final = 4.0


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """One scrypt hash with what it takes to compute it again."""

    n: int
    r: int
    p: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, password: str, salt: bytes | None = None) -> PasswordHash:
        """The hash of a new password, under a fresh salt."""
        n, r, p = _COST
        made = cls(n, r, p, salt or secrets.token_bytes(16), b"")
        return cls(n, r, p, made.salt, made._derive(password))

    @classmethod
    def parse(cls, written: str) -> PasswordHash:
        """Raises LocalError when it is no such hash, or one that costs more than 64 MiB to check."""
        parts = written.split("$")
        try:
            if len(parts) != 6 or parts[0] != "scrypt":
                raise ValueError
            n, r, p = (int(part) for part in parts[1:4])
            salt, digest = (a2b_base64(part, strict_mode=True) for part in parts[4:])
        except (ValueError, Error):
            raise LocalError("not a password hash of the form scrypt$N$r$p$salt$hash") from None
        if not (2 <= n <= 2**16 and n & (n - 1) == 0 and 1 <= r <= 16 and 1 <= p <= 4 and 128 * n * r <= 2**26):
            raise LocalError("a password hash with parameters that are not possible or cost too much")
        if len(digest) != _LENGTH or len(salt) < 8:
            raise LocalError(f"a password hash has {_LENGTH} octets and a salt of at least 8")
        return cls(n, r, p, salt, digest)

    def fits(self, password: str) -> bool:
        """Does it? Takes as long either way."""
        return hmac.compare_digest(self._derive(password), self.digest)

    def _derive(self, password: str) -> bytes:
        # Not hashlib's: that one needs an OpenSSL of the interpreter's own, which a device does without.
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        return Scrypt(salt=self.salt, length=_LENGTH, n=self.n, r=self.r, p=self.p).derive(password.encode())

    def __str__(self) -> str:
        salt, digest = (b64encode(part).decode("ascii") for part in (self.salt, self.digest))
        return f"scrypt${self.n}${self.r}${self.p}${salt}${digest}"


class Prover:
    """Checks passwords, remembering 64 that fitted (by a keyed digest that is worth nothing outside of this
    process, the oldest forgotten first), so that not every call costs a hash.

    What is not remembered is hashed at most 4 times a second after a burst of 8: guessing passwords cannot
    occupy the device. `now` gives monotonic seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._secret = secrets.token_bytes(32)
        self._proven: dict[bytes, None] = {}
        self._allowance = _BURST
        self._filled = now()

    def fits(self, user: str, password: str, expected: PasswordHash) -> bool:
        """Is it the user's password? Raises RemoteError (Receiver, Busy) when too many were tried."""
        # The expected hash is in the digest, so that a changed password is not remembered. Looking up a
        # digest under a secret key tells a timing observer nothing of the password.
        claim = b"\0".join((user.encode(), password.encode(), expected.digest))
        token = hmac.digest(self._secret, claim, sha256)
        if token in self._proven:
            return True
        now = self._now()
        self._allowance = min(_BURST, self._allowance + (now - self._filled) * _A_SECOND)
        self._filled = now
        if self._allowance < 1.0:
            raise receiver_fault("Busy", "too many passwords were tried: ask again in a second")
        self._allowance -= 1.0
        if not expected.fits(password):
            return False
        if len(self._proven) >= _MAX_REMEMBERED:
            del self._proven[next(iter(self._proven))]
        self._proven[token] = None
        return True
