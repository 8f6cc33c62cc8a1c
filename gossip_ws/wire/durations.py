"""xs:duration (XML Schema part 2, section 3.2.6) as seconds, and back."""

from __future__ import annotations

import re
from typing import Final

_DURATION: Final = re.compile(
    r"(?P<sign>-)?P(?=[0-9T])(?:(?P<years>[0-9]{1,9})Y)?(?:(?P<months>[0-9]{1,9})M)?(?:(?P<days>[0-9]{1,9})D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,9})H)?(?:(?P<minutes>[0-9]{1,9})M)?"
    r"(?:(?P<seconds>[0-9]{1,9}(?:\.[0-9]{1,9})?)S)?)?"
)
_SECONDS: Final = {
    # No calendar is asked: what is granted is shorter than the shortest month anyway.
    "years": 365 * 86_400.0,
    "months": 30 * 86_400.0,
    "days": 86_400.0,
    "hours": 3_600.0,
    "minutes": 60.0,
    "seconds": 1.0,
}


def read_duration(text: str) -> float | None:
    """Seconds, negative ones too; a month counts 30 days and a year 365. None for what is no duration."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return None
    total = sum(float(found[name] or 0) * length for name, length in _SECONDS.items())
    return -total if found["sign"] else total


def write_duration(seconds: float) -> str:
    """`seconds`, not negative, to the millisecond, in days, hours, minutes and seconds."""
    thousandths = round(seconds * 1000)
    days, rest = divmod(thousandths, 86_400_000)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    whole, fraction = divmod(rest, 1000)
    second = f"{whole}.{fraction:03}".rstrip("0") if fraction else str(whole)
    time = "".join(
        f"{value}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (second, "S")) if str(value) != "0"
    )
    date = f"{days}D" if days else ""
    if not date and not time:
        return "PT0S"
    return f"P{date}{'T' if time else ''}{time}"
