"""What kind of device uses, or gives, energy."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """A meter stands for the household, shop or farm behind it; the rest are appliances."""

    HOUSEHOLD = "household"
    BUSINESS = "business"
    FARM = "farm"
    HEAT_PUMP = "heat-pump"
    HOME_CHARGER = "home-charger"
    WORK_CHARGER = "work-charger"
    PHOTOVOLTAIC = "photovoltaic"
    STORAGE = "storage"

    @property
    def feeds_in(self) -> bool:
        """Does its power flow to the grid? SimBench's storage only ever gives back what its roof has made."""
        return self in (Kind.PHOTOVOLTAIC, Kind.STORAGE)

    @classmethod
    def of_meter(cls, profile: str) -> Kind:
        """By the standard load profile's first letter: H0 household, G business, L farm."""
        return {"G": cls.BUSINESS, "L": cls.FARM}.get(profile[:1], cls.HOUSEHOLD)
