"""A device's durable memory in SQLite: identity, boot counter, tariff."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gossip_ws.kernel.errors import LocalError


class SqliteStore:
    """`ports.Store` in one file. A write is on the disk when it returns."""

    def __init__(self, path: Path) -> None:
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
        except sqlite3.Error as error:
            raise LocalError(f"cannot keep a store in {path}: {error}") from None
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("CREATE TABLE IF NOT EXISTS held (name TEXT PRIMARY KEY, value BLOB NOT NULL)")
        except sqlite3.Error as error:
            self._database.close()
            raise LocalError(f"cannot keep a store in {path}: {error}") from None

    def get(self, name: str) -> bytes | None:
        row = self._database.execute("SELECT value FROM held WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row is not None else None

    def put(self, name: str, value: bytes) -> None:
        self._database.execute("INSERT OR REPLACE INTO held (name, value) VALUES (?, ?)", (name, value))

    def close(self) -> None:
        self._database.close()
