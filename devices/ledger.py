"""The log of one device that agrees, in one SQLite file: what it has written outlives a crash of process or machine.

Beside it stands how far the device believes its neighbours. Write-ahead log, synced at each write. Knows records, and
nothing of what follows from them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gossip_ws.consensus.ability import RIGID, as_object, from_object
from gossip_ws.consensus.log import AgreementId, Cause, Kind, Log, Record
from gossip_ws.consensus.messages import Served
from gossip_ws.consensus.past import Past
from gossip_ws.consensus.reliance import LEAST, NEIGHBOURS, WHOLE, Score
from gossip_ws.kernel.errors import LocalError

FORMAT: Final = 1
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS owner (format INTEGER NOT NULL, device TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS record (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, day INTEGER NOT NULL, agreement TEXT NOT NULL,
    peer TEXT NOT NULL, level INTEGER NOT NULL, watts TEXT NOT NULL, cause_device TEXT, cause_number INTEGER,
    ability TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS past (
    number INTEGER NOT NULL, before INTEGER NOT NULL, starts INTEGER NOT NULL, served_last INTEGER NOT NULL,
    served_times INTEGER NOT NULL, sold_start INTEGER NOT NULL, sold_number INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS score (
    number INTEGER PRIMARY KEY, device TEXT NOT NULL UNIQUE, gives INTEGER NOT NULL, needs INTEGER NOT NULL,
    day INTEGER NOT NULL
);
"""
_COLUMNS: Final = "number, at, kind, day, agreement, peer, level, watts, cause_device, cause_number, ability"


class Ledger:
    """Of one device. Raises LocalError, one line, for a file that is no ledger, or another device's."""

    def __init__(self, path: Path, device: str) -> None:
        self.path = path
        self.device = device
        self._database = _opened(path)
        try:
            # A torn page or a lost record would be a broken promise: FULL syncs the log before a write returns.
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_TABLES)
            self._database.execute(f"SELECT {_COLUMNS} FROM record LIMIT 0")
            owner = _owner(self._database)
            if owner is None:
                self._database.execute("INSERT INTO owner VALUES (?, ?)", (FORMAT, device))
        except sqlite3.Error as error:
            self._database.close()
            raise LocalError(f"{path}: no ledger: {error}") from None
        if owner not in (None, (FORMAT, device)):
            self._database.close()
            raise LocalError(f"{path}: the ledger of {owner}, not of {device}" if owner else f"{path}: no ledger")

    def records(self) -> Log:
        """Everything that was written and not forgotten, in order. Raises LocalError for what no device writes."""
        return _records(self._database, self.path, self.device)

    def past(self) -> Past:
        """What stands for the records that are gone. Raises LocalError for what no device writes."""
        try:
            row = self._database.execute("SELECT * FROM past").fetchone()
            if row is None:
                return Past()
            number, before, starts, last, times, start, sold = row
        except (sqlite3.Error, ValueError) as error:
            raise LocalError(f"{self.path}: not what a device writes: {error}") from None
        return Past(number, before, starts, Served(last, times), (start, sold))

    def write(self, *records: Record) -> None:
        """Durable when it returns, all of them at one sync. Raises LocalError, and has written none, when the disk does
        not take them, one is another device's, or a number is taken: two processes must not write one log."""
        if any(record.device != self.device for record in records):
            raise LocalError(f"{self.path}: a record of another in the ledger of {self.device}")
        with self._transaction() as database:
            database.executemany(f"INSERT INTO record ({_COLUMNS}) VALUES (?{', ?' * 10})", map(_row, records))

    def scores(self) -> tuple[Score, ...]:
        """How far neighbours are believed, the last that was judged last. Raises LocalError for what no device
        writes."""
        try:
            rows = self._database.execute("SELECT device, gives, needs, day FROM score ORDER BY number").fetchall()
            if any(not LEAST <= share <= WHOLE for _, *shares, _ in rows for share in shares):
                raise ValueError("a score out of bounds")
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise LocalError(f"{self.path}: not what a device writes: {error}") from None
        return tuple(Score(*row) for row in rows)

    def believe(self, *scores: Score) -> None:
        """From now on neighbours are believed so far. Raises LocalError as `write` does."""
        with self._transaction() as database:
            database.executemany("DELETE FROM score WHERE device = ?", [(score.device,) for score in scores])
            rows = [(score.device, score.gives, score.needs, score.day) for score in scores]
            database.executemany("INSERT INTO score (device, gives, needs, day) VALUES (?, ?, ?, ?)", rows)
            keep = "SELECT number FROM score ORDER BY number DESC LIMIT ?"
            database.execute(f"DELETE FROM score WHERE number NOT IN ({keep})", (NEIGHBOURS,))

    def forget(self, past: Past) -> None:
        """From now on this stands for the records below its number. Raises LocalError as `write` does."""
        row = (past.number, past.before, past.starts, past.served.last, past.served.times, *past.sold)
        with self._transaction() as database:
            database.execute("DELETE FROM past")
            database.execute("INSERT INTO past VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            database.execute("DELETE FROM record WHERE number < ?", (past.number,))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._database.execute("BEGIN")
            yield self._database
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise LocalError(f"{self.path}: not written: {error}") from None

    def close(self) -> None:
        self._database.close()


def read(path: Path) -> tuple[str, Log]:
    """Whose ledger it is, and what is in it, while its device may be writing. Raises LocalError when it is none."""
    if not path.is_file():
        raise LocalError(f"{path}: no ledger")
    database = _opened(path)
    try:
        owner = _owner(database)
        if owner is None or owner[0] != FORMAT:
            raise LocalError(f"{path}: no ledger")
        return owner[1], _records(database, path, owner[1])
    except sqlite3.Error as error:
        raise LocalError(f"{path}: no ledger: {error}") from None
    finally:
        database.close()


def _opened(path: Path) -> sqlite3.Connection:
    try:
        # Each statement is a transaction of its own.
        return sqlite3.connect(path, isolation_level=None)
    except sqlite3.Error as error:
        raise LocalError(f"{path}: {error}") from None


def _owner(database: sqlite3.Connection) -> tuple[int, str] | None:
    found: tuple[int, str] | None = database.execute("SELECT format, device FROM owner").fetchone()
    return found


def _row(record: Record) -> tuple[object, ...]:
    cause = (record.cause.device, record.cause.number) if record.cause is not None else (None, None)
    watts = " ".join(map(str, record.watts))
    ability = json.dumps(as_object(record.ability)) if record.ability else None
    told = (record.number, record.at, record.kind.value, record.day, record.agreement, record.peer, record.level)
    return (*told, watts, *cause, ability)


def _records(database: sqlite3.Connection, path: Path, device: str) -> Log:
    try:
        rows = database.execute(f"SELECT {_COLUMNS} FROM record ORDER BY number").fetchall()
        return tuple(
            Record(
                device,
                number,
                at,
                Kind(kind),
                day,
                AgreementId(agreement),
                peer,
                level,
                tuple(map(int, watts.split())),
                Cause(cause_device, cause_number) if cause_device is not None else None,
                from_object(json.loads(ability)) if ability is not None else RIGID,
            )
            for number, at, kind, day, agreement, peer, level, watts, cause_device, cause_number, ability in rows
        )
    except (sqlite3.Error, ValueError, LookupError, TypeError, AttributeError) as error:
        raise LocalError(f"{path}: not what a device writes: {error}") from None
