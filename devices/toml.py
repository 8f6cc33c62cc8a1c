"""A TOML file read strictly: each value by name and type, and whatever is left over is an error.

Every complaint is one line that names the file and the key. Knows nothing of what the keys mean.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from gossip_ws.kernel.errors import LocalError

T = TypeVar("T")

MAX_FILE: Final = 262_144
"""Octets of a file that is read."""


class Table:
    """One table of a file. Take what is known, then `end` it: what nobody took is unknown."""

    def __init__(self, values: dict[str, Any], file: Path, path: str = "") -> None:
        self.file = file
        self._values = dict(values)
        self._path = path

    @classmethod
    def load(cls, file: Path) -> Table:
        """The whole of a file. Raises LocalError when it cannot be read or is no TOML."""
        try:
            with file.open("rb") as stream:
                octets = stream.read(MAX_FILE + 1)
        except OSError as error:
            raise LocalError(f"{file}: {error.strerror}") from None
        if len(octets) > MAX_FILE:
            raise LocalError(f"{file}: more than {MAX_FILE} octets")
        try:
            return cls(tomllib.loads(octets.decode()), file)
        except ValueError as error:
            raise LocalError(f"{file}: not TOML: {error}") from None

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @property
    def where(self) -> str:
        """The file, and the table's name where it has one."""
        return f"{self.file}: {self._path.rstrip('.')}" if self._path else str(self.file)

    def fail(self, name: str, reason: str) -> NoReturn:
        """Raise the LocalError of one key."""
        raise LocalError(f"{self.file}: {self._path}{name}: {reason}")

    def text(self, name: str, default: str | None = None) -> str:
        """A string that is not empty."""
        value = self._take(name, default)
        if not isinstance(value, str) or not (value or default == ""):
            self.fail(name, f"a string, not {value!r}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings, empty where the key is absent."""
        values = self._take(name, [])
        if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
            self.fail(name, f"a list of strings, not {values!r}")
        return tuple(values)

    def integer(self, name: str, default: int | None = None, *, least: int = 0, most: int = 1 << 53) -> int:
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.fail(name, f"a whole number from {least} to {most}, not {value!r}")
        return value

    def integers(self, name: str, count: int, *, most: int) -> tuple[int, ...]:
        """Exactly `count` whole numbers from 0 to `most`."""
        values = self._take(name, None)
        if (
            not isinstance(values, list)
            or len(values) != count
            or any(isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most for value in values)
        ):
            self.fail(name, f"{count} whole numbers from 0 to {most}, not {values!r}")
        return tuple(values)

    def number(self, name: str, default: float | None = None, *, least: float, most: float) -> float:
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            self.fail(name, f"a number from {least:g} to {most:g}, not {value!r}")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        value = self._take(name, default)
        if not isinstance(value, bool):
            self.fail(name, f"true or false, not {value!r}")
        return value

    def path(self, name: str) -> Path | None:
        """A path, relative to the file; None where the key is absent."""
        return self.file.parent / self.text(name) if name in self else None

    def read(self, name: str, make: Callable[[str], T]) -> T | None:
        """What `make` reads from a string; its LocalError or ValueError is told with the key. None where absent."""
        return self._made(name, make, self.text(name)) if name in self else None

    def each(self, name: str, make: Callable[[str], T]) -> tuple[T, ...]:
        """The same for a list of strings."""
        return tuple(self._made(name, make, value) for value in self.texts(name))

    def table(self, name: str) -> Table | None:
        """The table `[name]`; None where it is absent."""
        if name not in self:
            return None
        value = self._take(name, None)
        if not isinstance(value, dict):
            self.fail(name, f"a table [{self._path}{name}], not {value!r}")
        return Table(value, self.file, f"{self._path}{name}.")

    def tables(self, name: str) -> tuple[Table, ...]:
        """The tables `[[name]]`, none where it is absent."""
        values = self._take(name, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            self.fail(name, f"tables [[{self._path}{name}]], not {values!r}")
        return tuple(Table(value, self.file, f"{self._path}{name} {number}.") for number, value in enumerate(values, 1))

    def end(self) -> None:
        """Raises LocalError for a key that nobody asked for."""
        for name in self._values:
            self.fail(name, "unknown key")

    def _take(self, name: str, default: Any) -> Any:
        if name not in self._values:
            if default is None:
                self.fail(name, "missing")
            return default
        return self._values.pop(name)

    def _made(self, name: str, make: Callable[[str], T], value: str) -> T:
        try:
            return make(value)
        except (LocalError, ValueError) as error:
            self.fail(name, str(error))
