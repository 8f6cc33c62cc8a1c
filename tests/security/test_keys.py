"""Keys in files and passwords."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from gossip_ws.kernel.errors import FaultCode, LocalError, RemoteError
from gossip_ws.security.keys import PrivateKey, PublicKey
from gossip_ws.security.passwords import PasswordHash, Prover


def test_a_key_is_saved_for_its_owner_alone_and_loads_again(tmp_path: Path) -> None:
    key, path = PrivateKey.generate(), tmp_path / "device.pem"
    key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PrivateKey.load(path).public == key.public


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "device.pem"
    first = PrivateKey.generate()
    first.save(path)
    with pytest.raises(LocalError, match="not overwritten"):
        PrivateKey.generate().save(path)
    assert PrivateKey.load(path).id == first.id


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "device.pem"
    PrivateKey.generate().save(path)
    os.chmod(path, 0o640)
    with pytest.raises(LocalError, match="others may read"):
        PrivateKey.load(path)


def test_the_id_is_a_digest_of_the_raw_public_key() -> None:
    public = PrivateKey.generate().public
    assert public.id == sha256(public.raw).hexdigest()[:32]
    assert PublicKey.from_pem(public.pem()) == public


def test_a_key_is_read_in_whatever_pem_it_was_written(tmp_path: Path) -> None:
    key, path = PrivateKey.generate(), tmp_path / "device.pem"
    key.save(path)
    private, public = path.read_bytes(), key.public.pem()
    for change in (
        lambda pem: pem,
        lambda pem: b"the utility's key\n" + pem,
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: pem + b"\n\n",
    ):
        path.write_bytes(change(private))
        assert PrivateKey.load(path).public == key.public
        assert PublicKey.from_pem(change(public)) == key.public


def test_what_is_almost_a_key_is_refused(tmp_path: Path) -> None:
    public = PrivateKey.generate().public.pem()
    head, text, foot = public.splitlines(keepends=True)
    for wrong in (head + text[4:] + foot, head + text.replace(b"M", b"=", 1) + foot, head + b"====\n" + foot):
        with pytest.raises(LocalError):
            PublicKey.from_pem(wrong)
    path = tmp_path / "device.pem"
    path.write_bytes(public)
    path.chmod(0o600)
    with pytest.raises(LocalError):
        PrivateKey.load(path)


def test_a_signature_is_told_from_another() -> None:
    key, other = PrivateKey.generate(), PrivateKey.generate()
    signature = key.sign(b"message")
    assert key.public.verifies(signature, b"message")
    assert not key.public.verifies(signature, b"massage")
    assert not other.public.verifies(signature, b"message")
    assert not key.public.verifies(b"", b"message")


def test_what_is_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1())
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    private.write_bytes(
        other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    private.chmod(0o600)
    public.write_bytes(
        other.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    for load, path in ((PrivateKey.load, private), (PublicKey.load, public)):
        with pytest.raises(LocalError, match="not an Ed25519 key"):
            load(path)
        path.write_bytes(b"junk")
        with pytest.raises(LocalError, match=r"in PEM"):
            load(path)
        with pytest.raises(LocalError, match="No such file"):
            load(tmp_path / "missing.pem")


def test_a_secret_is_not_shown() -> None:
    key = PrivateKey.generate()
    assert repr(key) == f"PrivateKey({key.id})"
    written = PasswordHash.of("secret")
    assert "digest" not in repr(written)


# Passwords. A cheap hash, so that the tests are quick.


def cheap(password: str) -> PasswordHash:
    made = PasswordHash(16, 8, 1, b"saltsalt", b"")
    return PasswordHash(16, 8, 1, b"saltsalt", made._derive(password))


def test_a_hash_is_written_and_read() -> None:
    made = PasswordHash.of("pa$$ wörd")
    again = PasswordHash.parse(str(made))
    assert again == made
    assert again.fits("pa$$ wörd")
    assert not again.fits("pa$$ word")
    assert PasswordHash.of("pa$$ wörd") != made


@pytest.mark.parametrize(
    "written",
    [
        "",
        "secret",
        "md5$16384$8$1$c2FsdHNhbHQ=$c2FsdHNhbHQ=",
        str(cheap("x")).replace("$16$", "$17$"),
        str(cheap("x")).replace("$16$", "$1048576$"),
        str(cheap("x")).replace("$16$8$", "$65536$16$"),
        str(cheap("x")).replace("$16$", "$many$"),
        str(cheap("x"))[:-4] + "!!!!",
        str(cheap("x")).rpartition("$")[0] + "$c2FsdHNhbHQ=",
    ],
)
def test_what_is_no_hash_or_costs_too_much_is_refused(written: str) -> None:
    with pytest.raises(LocalError):
        PasswordHash.parse(written)


def test_a_password_that_fitted_costs_no_second_hash() -> None:
    time = 0.0
    prover = Prover(lambda: time)
    expected = cheap("right")
    # Far more often than the allowance, in no time.
    assert all(prover.fits("anna", "right", expected) for _ in range(100))
    assert not prover.fits("anna", "right", cheap("changed"))
    assert not prover.fits("anna", "wrong", expected)


def test_guessing_is_slowed_down_and_does_not_shut_out_who_was_proved() -> None:
    time = 0.0
    prover = Prover(lambda: time)
    expected = cheap("right")
    assert prover.fits("anna", "right", expected)
    for number in range(7):
        assert not prover.fits("anna", str(number), expected)
    with pytest.raises(RemoteError) as caught:
        prover.fits("anna", "guess", expected)
    assert caught.value.fault.code is FaultCode.RECEIVER
    assert prover.fits("anna", "right", expected)
    time = 0.5
    assert not prover.fits("anna", "guess", expected)


def test_what_is_remembered_is_bounded() -> None:
    time = 0.0
    prover = Prover(lambda: time)
    expected = cheap("right")
    for number in range(200):
        time += 1.0
        assert prover.fits(f"user {number}", "right", expected)
    assert len(prover._proven) == 64
