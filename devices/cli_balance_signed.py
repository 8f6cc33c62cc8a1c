"""What `gossip-ws balance --signed` adds: enrolled keys, those who meddle and lie, and what came of them."""

from __future__ import annotations

from random import Random
from typing import Any

from gossip_ws.consensus.attack import Attackers, Falsehood
from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.post import Post
from gossip_ws.devices.keyring import Issued


class SignedGrid:
    """attackers: share of messages after which one of theirs comes. liars: share of clusters whose first speaker
    lies."""

    def __init__(self, instance: Instance, hierarchy: Hierarchy, attackers: float, liars: float, seed: int) -> None:
        self.issued = Issued(instance)
        keyring = self.issued.keyring
        meddlers = None
        if attackers:
            meddlers = Attackers(attackers, hierarchy, keyring, self.issued.stranger, Random(f"attackers/{seed}"))
        dice = Random(f"liars/{seed}")
        first = sorted({hierarchy.candidates(cluster)[0] for cluster in hierarchy.clusters})
        drawn = dice.sample(first, round(liars * len(first)))
        self.liars = {device: dice.choice(tuple(Falsehood)) for device in drawn}
        self.post = Post(keyring, meddlers, self.liars)

    @property
    def shown(self) -> set[str]:
        """Of whom anybody holds a proof."""
        return {liar for audit in self.post.audits.values() for liar in audit.liars}

    @property
    def is_bad(self) -> bool:
        """Did an attacker's message count, or is somebody shown who has told no lie?"""
        return bool(self.post.counted.total() or self.shown - self.told)

    @property
    def told(self) -> set[str]:
        """Who has told a lie; a speaker to whom nobody reports has nothing to lie about."""
        return {device for device, lies in self.post.lies.items() if lies}

    def object(self) -> dict[str, Any]:
        """For --json."""
        signing, verifying = self.issued.signing, self.issued.verifying
        return {
            "signed": {
                "signatures": signing.times,
                "sign_us": round(signing.micro, 1),
                "verifications": verifying.times,
                "verify_us": round(verifying.micro, 1),
            },
            "attackers": {"messages": self.post.meddled.total(), "counted": self.post.counted.total()},
            "liars": {
                "lied": sorted(self.told),
                "shown": sorted(self.shown),
                "lies": self.post.lies.total(),
            },
        }

    def lines(self) -> list[str]:
        """For a person."""
        signing, verifying = self.issued.signing, self.issued.verifying
        lines = [
            f"signed     {signing.times:,} signatures of {signing.micro:.0f} us,"
            f" {verifying.times:,} verifications of {verifying.micro:.0f} us"
        ]
        if self.post.meddled:
            counted = self.post.counted.total()
            lines.append(f"attackers  {self.post.meddled.total():,} messages, of which {counted} counted")
        if self.liars or self.shown:
            lines.append(
                f"liars      {len(self.told)} speakers told {self.post.lies.total():,} lies;"
                f" {len(self.shown & self.told)} of them shown, {len(self.shown - self.told)} others"
            )
        return lines
