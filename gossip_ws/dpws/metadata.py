"""What a device tells of itself when asked (DPWS 1.1 section 4): model, device, and what it hosts.

Knows no XML: `wire.metadata` writes and reads it. Every limit is checked here, at construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import DEVICE, DeviceId, QName

MAX_FIELD_SIZE: Final = 256
"""A text field has fewer Unicode characters than this (DPWS 1.1 appendix B)."""
MAX_URI_SIZE: Final = 2_048
"""Octets (R0025, R0027)."""
MAX_HOSTED: Final = 256
"""Hosted services of one device."""
MAX_TEXTS: Final = 16
"""Languages of one field, addresses or types of one service."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text in a language (BCP 47); the language is empty when it is not said."""

    value: str
    lang: str = ""

    def __post_init__(self) -> None:
        _check_field("a text", self.value)
        _check_field("a language", self.lang)


@dataclass(frozen=True, slots=True)
class ThisModel:
    """What all devices of a model share. At least one manufacturer and one model name; the rest may be empty."""

    manufacturer: tuple[Text, ...]
    model_name: tuple[Text, ...]
    manufacturer_url: str = ""
    model_number: str = ""
    model_url: str = ""
    presentation_url: str = ""

    def __post_init__(self) -> None:
        _check_some("Manufacturer", self.manufacturer)
        _check_some("ModelName", self.model_name)
        _check_field("ModelNumber", self.model_number)
        for name, uri in (
            ("ManufacturerUrl", self.manufacturer_url),
            ("ModelUrl", self.model_url),
            ("PresentationUrl", self.presentation_url),
        ):
            _check_uri(name, uri)


@dataclass(frozen=True, slots=True)
class ThisDevice:
    """What differs from one device of a model to the next. At least one friendly name."""

    friendly_name: tuple[Text, ...]
    firmware_version: str = ""
    serial_number: str = ""

    def __post_init__(self) -> None:
        _check_some("FriendlyName", self.friendly_name)
        _check_field("FirmwareVersion", self.firmware_version)
        _check_field("SerialNumber", self.serial_number)


@dataclass(frozen=True, slots=True)
class Host:
    """The hosting device; `types` may be empty."""

    device: DeviceId
    types: tuple[QName, ...] = (DEVICE,)

    def __post_init__(self) -> None:
        _check_needed("the host's address", self.device)
        if len(self.types) > MAX_TEXTS:
            raise LocalError(f"at most {MAX_TEXTS} types of a host")


@dataclass(frozen=True, slots=True)
class Hosted:
    """A hosted service. `types` are its WSDL portTypes; `addresses` are http URIs (R0042), one at least."""

    addresses: tuple[str, ...]
    types: tuple[QName, ...]
    service_id: str

    def __post_init__(self) -> None:
        _check_some("the address of a hosted service", self.addresses)
        _check_some("the type of a hosted service", self.types)
        for address in self.addresses:
            _check_needed("the address of a hosted service", address)
        _check_needed("ServiceId", self.service_id)


@dataclass(frozen=True, slots=True)
class Relationship:
    """Who hosts what. `host` is None when a peer left it out; ours never do."""

    host: Host | None
    hosted: tuple[Hosted, ...] = ()

    def __post_init__(self) -> None:
        if len(self.hosted) > MAX_HOSTED:
            raise LocalError(f"at most {MAX_HOSTED} hosted services")
        ids = [service.service_id for service in self.hosted]
        if len(set(ids)) != len(ids):
            raise LocalError("two hosted services with one ServiceId")

    def service(self, service_id: str) -> Hosted:
        """The hosted service of that id. Raises LocalError when there is none."""
        for service in self.hosted:
            if service.service_id == service_id:
                return service
        raise LocalError(f"no hosted service {service_id}")


@dataclass(frozen=True, slots=True)
class Metadata:
    """All that a device answers to a Get. `relationship` is None when it hosts nothing."""

    model: ThisModel
    device: ThisDevice
    relationship: Relationship | None


@dataclass(frozen=True, slots=True)
class ServiceMetadata:
    """What a hosted service answers to GetMetadata: its own part of the relationship, and its WSDL inline
    (`wsdl`) or elsewhere (`wsdl_location`), or neither."""

    relationship: Relationship | None
    wsdl: bytes = b""
    wsdl_location: str = ""

    def __post_init__(self) -> None:
        if self.wsdl and self.wsdl_location:
            raise LocalError("a WSDL is given inline or by its location, not both")
        _check_uri("the WSDL's location", self.wsdl_location)


def _check_some(name: str, values: tuple[object, ...]) -> None:
    if not 0 < len(values) <= MAX_TEXTS:
        raise LocalError(f"{name}: 1 to {MAX_TEXTS} times, not {len(values)}")


def _check_field(name: str, value: str) -> None:
    if len(value) >= MAX_FIELD_SIZE:
        raise LocalError(f"{name} of {len(value)} characters, fewer than {MAX_FIELD_SIZE} are allowed")


def _check_uri(name: str, uri: str) -> None:
    if len(uri.encode()) > MAX_URI_SIZE:
        raise LocalError(f"{name} of more than {MAX_URI_SIZE} octets")
    if any(character.isspace() for character in uri):
        raise LocalError(f"{name} is no URI: {uri!r}")


def _check_needed(name: str, uri: str) -> None:
    _check_uri(name, uri)
    if not uri:
        raise LocalError(f"{name} is missing")
