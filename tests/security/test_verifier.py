"""Who may originate what: the default is nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from gossip_ws.core.messages import Content, Signature
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import GossipId
from gossip_ws.kernel.terms import Priority, Style, Terms, Variant
from gossip_ws.ports import Caller
from gossip_ws.security.authority import CallerRule, IpNetwork, Originator, Trust, ip
from gossip_ws.security.development import DevelopmentVerifier
from gossip_ws.security.keys import PrivateKey, PublicKey
from gossip_ws.security.passwords import PasswordHash
from gossip_ws.security.trust_file import load_trust
from gossip_ws.security.verifier import TrustVerifier

SET, GET = "urn:t:Set", "urn:t:Get"
NOW = 1_790_000_000.0
KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()
CHEAP = PasswordHash(16, 8, 1, b"saltsalt", PasswordHash(16, 8, 1, b"saltsalt", b"")._derive("right"))
UTILITY = "10.0.0.1"


@dataclass
class Clock:
    """Ours to set."""

    wall: float = NOW

    def now(self) -> Instant:
        return Instant(self.wall, self.wall)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        raise AssertionError("a verifier waits for nothing")


def content(action: str = SET, key: PrivateKey = KEY, issued: float = NOW, lifetime: float = 60.0) -> Content:
    terms = Terms(
        Variant.EAGER_PUSH, Style.ONE_WAY, Binding.UDP, Priority.NORMAL, (), (), (), key.id, issued, issued + lifetime
    )
    id = GossipId(b"i" * 32)
    return Content(id, action, terms, b"", Signature(key.id, key.sign(id)), b"")


def caller(
    local: str = UTILITY,
    source: str = "10.0.0.99",
    user: str = "",
    password: str = "",
    binding: Binding = Binding.HTTP,
) -> Caller:
    return Caller(Address(binding, source, 40_000), local, user, password)


def verifier(
    *originators: Originator, callers: tuple[CallerRule, ...] = (), clock: Clock | None = None
) -> TrustVerifier:
    return TrustVerifier(Trust(originators, callers), OTHER, clock or Clock())


def allowed(actions: frozenset[str] = frozenset((SET,)), *interfaces: str) -> Originator:
    return Originator(KEY.public, actions, frozenset(filter(None, map(ip, interfaces))))


def refusal(judge: TrustVerifier | DevelopmentVerifier, made: Content, by: Caller | None = None) -> str:
    with pytest.raises(RemoteError) as caught:
        judge.verify(made, by or caller())
    return caught.value.fault.subcode.rpartition("}")[2]


def test_what_a_rule_allows_is_taken() -> None:
    verifier(allowed()).verify(content(), caller())


def test_the_default_is_nobody() -> None:
    assert refusal(verifier(), content()) == "UnknownKey"


def test_unsigned_is_refused() -> None:
    assert refusal(verifier(allowed()), replace(content(), signature=None)) == "Unsigned"


def test_a_key_originates_in_its_own_name_only() -> None:
    made = content()
    stolen = replace(made, terms=replace(made.terms, originator=OTHER.id))
    assert refusal(verifier(allowed()), stolen) == "NotAuthorised"


def test_a_key_originates_what_it_may_only() -> None:
    assert refusal(verifier(allowed()), content(GET)) == "NotAuthorised"


def test_a_key_originates_where_it_may_only() -> None:
    judge = verifier(allowed(frozenset((SET,)), UTILITY))
    judge.verify(content(), caller(UTILITY))
    judge.verify(content(), caller(f"::ffff:{UTILITY}"))
    assert refusal(judge, content(), caller("192.168.0.1")) == "NotAuthorised"
    assert refusal(judge, content(), caller("")) == "NotAuthorised"


def test_two_rules_for_one_key_add_up() -> None:
    judge = verifier(allowed(frozenset((SET,)), UTILITY), allowed(frozenset((GET,)), "192.168.0.1"))
    judge.verify(content(SET), caller(UTILITY))
    judge.verify(content(GET), caller("192.168.0.1"))
    assert refusal(judge, content(SET), caller("192.168.0.1")) == "NotAuthorised"


def test_altered_content_and_a_forged_signature_are_refused() -> None:
    made = content()
    assert refusal(verifier(allowed()), replace(made, id=GossipId(b"j" * 32))) == "BadSignature"
    assert refusal(verifier(allowed()), replace(made, signature=Signature(KEY.id, b"\0" * 64))) == "BadSignature"
    forged = replace(made, signature=Signature(KEY.id, OTHER.sign(made.id)))
    assert refusal(verifier(allowed()), forged) == "BadSignature"


def test_time_is_judged_within_the_skew() -> None:
    judge = verifier(allowed())
    judge.verify(content(issued=NOW + 59), caller())
    assert refusal(judge, content(issued=NOW + 61)) == "NotYetIssued"
    judge.verify(content(issued=NOW - 119), caller())
    assert refusal(judge, content(issued=NOW - 120)) == "Expired"
    short = TrustVerifier(Trust((allowed(),), max_lifetime=59), OTHER, Clock())
    assert refusal(short, content()) == "LifetimeTooLong"


# Callers who sign nothing.


def admitted(judge: TrustVerifier, by: Caller, action: str = SET) -> bool:
    try:
        judge.authorise(action, by)
    except RemoteError as error:
        if not error.fault.subcode.endswith("}NotAuthorised"):
            raise
        return False
    return True


def network(*names: str) -> tuple[IpNetwork, ...]:
    return tuple(map(ip_network, names))


def test_nobody_is_signed_for_by_default() -> None:
    assert not admitted(verifier(), caller(user="anna", password="right"))


def test_a_user_is_signed_for_who_proves_it() -> None:
    judge = verifier(callers=(CallerRule(frozenset((SET,)), "anna", CHEAP),))
    assert admitted(judge, caller(user="anna", password="right"))
    assert not admitted(judge, caller(user="anna", password="wrong"))
    assert not admitted(judge, caller(user="otto", password="right"))
    assert not admitted(judge, caller())
    assert not admitted(judge, caller(user="anna", password="right"), GET)
    assert not admitted(judge, caller(user="anna", password="right", binding=Binding.UDP))
    assert judge.issuer(caller(user="anna", password="right")) == "anna"
    assert judge.issuer(caller(user="anna", password="wrong")) == ""


def test_an_operators_network_is_signed_for_without_a_password_over_http_only() -> None:
    here = ip(UTILITY)
    assert here is not None
    judge = verifier(callers=(CallerRule(frozenset((SET,)), "", None, network("10.0.0.0/24"), frozenset((here,))),))
    assert admitted(judge, caller())
    assert not admitted(judge, caller(source="10.0.1.99"))
    assert not admitted(judge, caller(source="fe80::1"))
    assert not admitted(judge, caller(local="192.168.0.1"))
    assert not admitted(judge, caller(binding=Binding.UDP))
    assert judge.issuer(caller()) == ""


def test_a_rule_for_everybody_cannot_be_written() -> None:
    with pytest.raises(LocalError):
        CallerRule(frozenset((SET,)))
    with pytest.raises(LocalError):
        CallerRule(frozenset((SET,)), networks=network("0.0.0.0/0"))
    with pytest.raises(LocalError):
        CallerRule(frozenset((SET,)), user="anna")


def test_who_comes_from_elsewhere_costs_no_hash() -> None:
    judge = verifier(callers=(CallerRule(frozenset((SET,)), "anna", CHEAP, network("10.0.0.0/24")),))
    for _ in range(50):
        assert not admitted(judge, caller(source="10.9.9.9", user="anna", password="wrong"))
        assert not admitted(judge, caller(user="anna", password="wrong"), GET)
    assert admitted(judge, caller(user="anna", password="right"))


def test_a_device_signs_by_its_own_key_or_not_at_all() -> None:
    judge = verifier()
    id = GossipId(b"x" * 32)
    signature = judge.sign(id)
    assert signature is not None
    assert signature.key_id == judge.originator == OTHER.id
    assert OTHER.public.verifies(signature.value, id)
    keyless = TrustVerifier(Trust(callers=(CallerRule(frozenset((SET,)), "anna", CHEAP),)), None, Clock())
    assert not admitted(keyless, caller(user="anna", password="right"))
    with pytest.raises(LocalError):
        keyless.sign(id)


def test_development_takes_what_is_openly_unsigned_only() -> None:
    judge = DevelopmentVerifier()
    made = content()
    plain = replace(made, signature=None, terms=replace(made.terms, originator=judge.originator))
    judge.verify(plain, caller())
    judge.authorise(SET, caller())
    assert judge.sign(made.id) is None
    assert refusal(judge, made) == "UnknownKey"
    assert refusal(judge, replace(made, signature=None)) == "UnknownKey"
    assert refusal(verifier(allowed()), plain) == "Unsigned"


# The file.

FILE = """
clock_skew = 5
max_lifetime = 3600.0

[[originator]]
key = "is.pem"
actions = ["urn:t:Set"]
interfaces = ["10.0.0.1"]

[[caller]]
user = "anna"
password = "{hash}"
actions = ["urn:t:Set", "urn:t:Get"]

[[caller]]
actions = ["urn:t:Get"]
networks = ["10.0.0.0/24", "fd00::/8"]
interfaces = ["10.0.0.1"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "is.pem").write_bytes(KEY.public.pem())
    path = tmp_path / "trust.toml"
    path.write_text(FILE.replace("{hash}", str(CHEAP)))
    return path


def test_trust_is_read_from_a_file(file: Path) -> None:
    trust = load_trust(file)
    assert (trust.clock_skew, trust.max_lifetime) == (5.0, 3600.0)
    judge = TrustVerifier(trust, OTHER, Clock())
    judge.verify(content(), caller())
    assert refusal(judge, content(), caller("10.0.0.2")) == "NotAuthorised"
    assert admitted(judge, caller("10.0.0.2", user="anna", password="right"))
    assert admitted(judge, caller(), GET)
    assert not admitted(judge, caller(), SET)


def test_an_empty_file_trusts_nobody(tmp_path: Path) -> None:
    path = tmp_path / "trust.toml"
    path.write_text("")
    assert load_trust(path) == Trust()


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("clock_skew", "clock_screw", "unknown key: clock_screw"),
        ("clock_skew = 5", "clock_skew = -5", "clock_skew"),
        ("clock_skew = 5", "clock_skew = true", "clock_skew"),
        ("max_lifetime = 3600.0", "max_lifetime = 1e9", "max_lifetime"),
        ("[[originator]]", "[originator]", "originator"),
        ('key = "is.pem"', 'key = "missing.pem"', "originator 1: key"),
        ('key = "is.pem"', "key = 3", "originator 1: key"),
        ('key = "is.pem"', "", "originator 1: key"),
        ('actions = ["urn:t:Set"]', "actions = []", "originator 1: actions"),
        ('actions = ["urn:t:Set"]', 'actions = "urn:t:Set"', "originator 1: actions"),
        ('interfaces = ["10.0.0.1"]', 'interfaces = ["eth0"]', "originator 1: interfaces"),
        ('user = "anna"', 'usr = "anna"', "caller 1: unknown key: usr"),
        ('user = "anna"', "", "caller 1"),
        ("scrypt$", "md5$", "caller 1: password"),
        ("10.0.0.0/24", "10.0.0.1/24", "caller 2: networks"),
        ('networks = ["10.0.0.0/24", "fd00::/8"]', "", "caller 2"),
        ("[[caller]]", "[[caller", "not TOML"),
    ],
)
def test_a_mistake_names_file_and_key(file: Path, old: str, new: str, names: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(LocalError) as caught:
        load_trust(file)
    assert str(file) in str(caught.value)
    assert names in str(caught.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="No such file"):
        load_trust(tmp_path / "trust.toml")


# What a device says of itself.

STATEMENT = b"gossip-ws alive 1\n7\nurn:uuid:1"


def test_a_device_attests_by_its_own_key_whoever_may_originate_what() -> None:
    """The judge trusts nobody to originate anything: here a device answers for itself."""
    subject, judge = TrustVerifier(Trust(), KEY, Clock()), TrustVerifier(Trust(), None, Clock())
    signature = subject.attest(STATEMENT)
    assert signature is not None
    assert judge.is_attested(STATEMENT, signature, subject.key)


@pytest.mark.parametrize(
    ("statement", "signature", "key"),
    [
        (STATEMENT + b"0", {}, KEY.public.raw),
        (STATEMENT, {}, OTHER.public.raw),
        (STATEMENT, {"key_id": OTHER.id}, KEY.public.raw),
        (STATEMENT, {"value": bytes(64)}, KEY.public.raw),
        # Over the statement itself, not its digest: somebody else's scheme.
        (STATEMENT, {"value": KEY.sign(STATEMENT)}, KEY.public.raw),
        (STATEMENT, {}, bytes(32)),
    ],
    # The keys are new in each process, and two processes need the same names.
    ids=["another statement", "another key", "another key's name", "zeros", "no digest", "no key"],
)
def test_what_another_attests_is_not_believed(statement: bytes, signature: dict[str, object], key: bytes) -> None:
    made = TrustVerifier(Trust(), KEY, Clock()).attest(STATEMENT)
    assert made is not None
    assert not TrustVerifier(Trust(), OTHER, Clock()).is_attested(statement, replace(made, **signature), key)  # type: ignore[arg-type]


@pytest.mark.parametrize("without", [TrustVerifier(Trust(), None, Clock()), DevelopmentVerifier()])
def test_who_has_no_key_attests_nothing(without: TrustVerifier | DevelopmentVerifier) -> None:
    assert (without.key, without.attest(STATEMENT)) == (b"", None)


def test_development_mode_cannot_tell() -> None:
    made = TrustVerifier(Trust(), KEY, Clock()).attest(STATEMENT)
    assert made is not None
    assert not DevelopmentVerifier().is_attested(STATEMENT, made, KEY.public.raw)


def test_a_raw_key_has_32_octets() -> None:
    with pytest.raises(LocalError):
        PublicKey.from_raw(bytes(31))
    assert PublicKey.from_raw(KEY.public.raw) == KEY.public
