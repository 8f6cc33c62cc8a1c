"""Ed25519 keys in files: made, saved, loaded, named. Knows no message and no rule.

A private key is PEM (PKCS8, unencrypted) that only its owner may read; a public key is PEM
(SubjectPublicKeyInfo). A key id is the first 32 hexadecimal digits of SHA-256 over the 32 raw octets of
the public key.
"""

from __future__ import annotations

import os
import re
import stat
from binascii import Error, a2b_base64
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gossip_ws.kernel.errors import LocalError

_MAX_FILE = 16_384

# An Ed25519 key has one encoding in DER, these octets and then the key's own (RFC 8410 section 10). To read it so
# spares a meter cryptography's `serialization`, which brings RSA, SSH and more: 1.3 MiB. Whatever looks
# different goes there.
_PUBLIC: Final = bytes.fromhex("302a300506032b6570032100")
_PRIVATE: Final = bytes.fromhex("302e020100300506032b657004220420")
_RAW: Final = 32
_PEM: Final = re.compile(rb"\s*-----BEGIN ([A-Z ]+)-----\n([A-Za-z0-9+/=\n]+)-----END \1-----\s*")


class PublicKey:
    """Whose signatures can be told; equal when the key is."""

    __slots__ = ("_key", "id", "raw")

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.raw: bytes = key.public_bytes_raw()
        self.id: str = sha256(self.raw).hexdigest()[:32]

    @classmethod
    def from_raw(cls, raw: bytes) -> PublicKey:
        """From its own 32 octets (RFC 8032). Raises LocalError when there are not as many."""
        if len(raw) != _RAW:
            raise LocalError(f"an Ed25519 public key has {_RAW} octets, not {len(raw)}")
        return cls(Ed25519PublicKey.from_public_bytes(raw))

    @classmethod
    def from_pem(cls, pem: bytes, where: str = "public key") -> PublicKey:
        """Raises LocalError, naming `where`, when it is no Ed25519 public key."""
        raw = _raw(pem, b"PUBLIC KEY", _PUBLIC)
        if raw is not None:
            return cls(Ed25519PublicKey.from_public_bytes(raw))
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key = load_pem_public_key(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise LocalError(f"{where}: not a public key in PEM") from None
        if not isinstance(key, Ed25519PublicKey):
            raise LocalError(f"{where}: not an Ed25519 key")
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> PublicKey:
        """Raises LocalError when the file cannot be read or holds no Ed25519 public key."""
        return cls.from_pem(_read(path), str(path))

    def pem(self) -> bytes:
        """As it is handed to the devices that shall know it."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Is it this key's signature over `message`?"""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return self.raw == other.raw if isinstance(other, PublicKey) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"PublicKey({self.id})"


class PrivateKey:
    """What a device signs with. Never shown by repr."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new one, from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> PrivateKey:
        """Raises LocalError when the file cannot be read, others may read it, or it holds no Ed25519 private key."""
        pem = _read(path, private=True)
        raw = _raw(pem, b"PRIVATE KEY", _PRIVATE)
        if raw is not None:
            return cls(Ed25519PrivateKey.from_private_bytes(raw))
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise LocalError(f"{path}: not an unencrypted private key in PEM") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise LocalError(f"{path}: not an Ed25519 key")
        return cls(key)

    @property
    def id(self) -> str:
        """The key id of its public half."""
        return self.public.id

    def save(self, path: Path) -> None:
        """Write it readable by the owner alone. Raises LocalError when `path` exists: a key is never overwritten."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            # The mode is set by creation: there is no moment at which others may read it.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        except FileExistsError:
            raise LocalError(f"{path}: exists; a key is not overwritten") from None
        except OSError as error:
            raise LocalError(f"{path}: {error.strerror}") from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())

    def sign(self, message: bytes) -> bytes:
        """64 octets (RFC 8032)."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"PrivateKey({self.id})"


def _raw(pem: bytes, kind: bytes, head: bytes) -> bytes | None:
    """The key's own octets; None when `pem` is not the one encoding that an Ed25519 key of this kind has."""
    found = _PEM.fullmatch(pem)
    if found is None or found[1] != kind:
        return None
    try:
        octets = a2b_base64(found[2].replace(b"\n", b""), strict_mode=True)
    except Error:
        return None
    return octets[len(head) :] if octets.startswith(head) and len(octets) == len(head) + _RAW else None


def _read(path: Path, private: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if private and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise LocalError(f"{path}: others may read this private key (mode {stat.S_IMODE(mode):04o}, want 0600)")
            return file.read(_MAX_FILE)
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from None
