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
import sys
import urllib
import urllib.parse
import warnings
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
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
    AnyXml: Any
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

    class _Later(ModuleType):
        """Stands for a module that is imported when something of it is asked for."""

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return getattr(import_module(self.__name__), name)

    def _later_called(module: str, name: str) -> Callable[..., Any]:
        """A function of a module that is imported when it is called."""
        return lambda *values, **named: getattr(import_module(module), name)(*values, **named)

    _MOVED = {
        "collections_abc": collections.abc,
        "http_cookies": _Later("http.cookies"),
        "urllib": urllib,
        "urllib.error": _Later("urllib.error"),
        "urllib.parse": urllib.parse,
        "urllib.request": _Later("urllib.request"),
    }
    # What Spyne imports at once and needs for attachments, HTML and its own HTTP server, which are never spoken here:
    # together with the mail and HTTP packages behind them 3 MiB, which a meter can put to better use.
    _SELDOM = {
        "cgi": (),
        "lxml.html": (),
        "spyne.protocol.soap.mime": ("apply_mtom", "collapse_swa"),
        "spyne.server.http": (),
        "urllib.request": ("Request", "urlopen"),
    }

    class _OfSpynesHttp(type):
        """The type of a stand-in for a class of Spyne's own HTTP server: its instances are those of the real one."""

        def __instancecheck__(cls, instance: object) -> bool:
            return "spyne.server.http" in sys.modules and isinstance(
                instance, sys.modules["spyne.server.http"].HttpTransportContext
            )

    class _HttpTransportContext(metaclass=_OfSpynesHttp):
        pass

    def _stand_in(module: str, functions: tuple[str, ...]) -> _Later:
        """`functions` are imported by name at once, so they too are put off until they are called."""
        made = _Later(module)
        made.__dict__.update({name: _later_called(module, name) for name in functions})
        if module == "spyne.server.http":
            made.HttpTransportContext = _HttpTransportContext
        return made

    def _mended() -> None:
        finders = list(sys.meta_path)
        for name, module in _MOVED.items():
            sys.modules.setdefault(f"spyne.util.six.moves.{name}", module)
        seldom = {name: _stand_in(name, names) for name, names in _SELDOM.items() if name not in sys.modules}
        sys.modules.update(seldom)
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
        # From here on everybody finds the real ones.
        for name in seldom:
            del sys.modules[name]

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
        AnyXml,
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
