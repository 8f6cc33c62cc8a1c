"""Spyne 2.14, imported once and mended, and the names that a vendor needs from it.

Spyne's last release is of 2022: its vendored `six` hides modules behind an importer that Python 3.12
dropped support for. The standard library's own modules stand in `sys.modules` under those names before
Spyne is imported; this is done on every version, so that one import path is tested everywhere. A vendor
imports from `gossip_ws.services`: an `import spyne` of its own might come too early.

Knows nothing of SOAP, services or gossip.
"""

# The names imported here are this module's whole purpose.
# ruff: noqa: F401

from __future__ import annotations

import collections.abc
import http.cookies
import sys
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:
    # Spyne has no types; these are the few facts that ours rest on.
    class Service:
        """A service definition: operations are decorated functions without self."""

        __service_name__: str | None
        public_methods: dict[str, Any]

        @classmethod
        def get_service_name(cls) -> str: ...

    class ComplexModel:
        """A structure; class attributes declare its elements."""

        __namespace__: str | None

        def __init__(self, **values: Any) -> None: ...

    class Fault(Exception):
        """What an operation raises: `faultcode` is `Client.Subcode` or `Server.Subcode`."""

        faultcode: str
        faultstring: str
        detail: Any

        def __init__(self, faultcode: str = "Server", faultstring: str = "", **rest: Any) -> None: ...

    class Application:
        """Services, an interface and two protocols."""

        interface: Any
        in_protocol: Any
        out_protocol: Any
        transport: str

        def __init__(self, services: list[type[Service]], tns: str, **rest: Any) -> None: ...

        def call_wrapper(self, ctx: MethodContext) -> Any: ...

    class ServerBase:
        """A transport."""

        app: Any

        def __init__(self, app: Application) -> None: ...

    class MethodContext:
        """One call on its way through; `udc` is for the application's own use."""

        SERVER: Any
        udc: Any

        def __init__(self, transport: ServerBase, way: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    def rpc(*types: Any, **options: Any) -> Callable[[F], F]: ...

    def srpc(*types: Any, **options: Any) -> Callable[[F], F]: ...

    AnyUri: Any
    Array: Any
    Boolean: Any
    ByteArray: Any
    Date: Any
    DateTime: Any
    Decimal: Any
    Double: Any
    Duration: Any
    Enum: Any
    Float: Any
    Integer: Any
    Integer32: Any
    Integer64: Any
    Iterable: Any
    Mandatory: Any
    Soap12: Any
    String: Any
    Time: Any
    Unicode: Any
    UnsignedInteger: Any
    UnsignedInteger32: Any
    Uuid: Any
    Wsdl11: Any
    BODY_STYLE_BARE: Any
    BODY_STYLE_EMPTY: Any
    BODY_STYLE_WRAPPED: Any
else:
    _MOVED = {
        "collections_abc": collections.abc,
        "http_cookies": http.cookies,
        "urllib": urllib,
        "urllib.error": urllib.error,
        "urllib.parse": urllib.parse,
        "urllib.request": urllib.request,
    }

    def _mended() -> None:
        finders = list(sys.meta_path)
        for name, module in _MOVED.items():
            sys.modules.setdefault(f"spyne.util.six.moves.{name}", module)
        # Compiling Spyne warns of escapes, importing it of its importer; neither is the user's business.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import spyne.application
            import spyne.interface.wsdl.wsdl11
            import spyne.model.complex
            import spyne.model.primitive
            import spyne.protocol.soap.soap12
            import spyne.server
        # The vendored importer would go on warning at every failed import of the whole process.
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder in finders]

    _mended()

    from spyne import BODY_STYLE_BARE, BODY_STYLE_EMPTY, BODY_STYLE_WRAPPED
    from spyne.application import Application
    from spyne.context import MethodContext
    from spyne.decorator import rpc, srpc
    from spyne.interface.wsdl.wsdl11 import Wsdl11
    from spyne.model.binary import ByteArray
    from spyne.model.complex import Array, ComplexModel, Iterable
    from spyne.model.enum import Enum
    from spyne.model.fault import Fault
    from spyne.model.primitive import (
        AnyUri,
        Boolean,
        Date,
        DateTime,
        Decimal,
        Double,
        Duration,
        Float,
        Integer,
        Integer32,
        Integer64,
        Mandatory,
        String,
        Time,
        Unicode,
        UnsignedInteger,
        UnsignedInteger32,
        Uuid,
    )
    from spyne.protocol.soap.soap12 import Soap12
    from spyne.server import ServerBase
    from spyne.service import Service
