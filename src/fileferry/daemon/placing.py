"""Put what was read into the index: one transaction in which a decision is taken on facts and carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from fileferry.index import contents, entries, remotes, wants
from fileferry.plan import reconcile, renewals

if TYPE_CHECKING:
    import sqlite3

    from fileferry.daemon.mirror import Mirror
    from fileferry.model import Entry, Found


@dataclass(slots=True)
class Placed:
    """What became of a batch of inspections."""

    linked: int = 0
    to_send: int = 0
    rejected: int = 0
    waiting: int = 0
    suspect: int = 0
    vanished: int = 0

    def add(self, other: Placed) -> None:
        """Count what became of another batch too."""
        self.linked += other.linked
        self.to_send += other.to_send
        self.rejected += other.rejected
        self.waiting += other.waiting
        self.suspect += other.suspect
        self.vanished += other.vanished


def place_all(
    db: sqlite3.Connection,
    batch: list[tuple[Mirror, Entry, Found]],
    *,
    now: float,
    server_now: float,
    multipart: bool,
) -> Placed:
    """Decide about every inspected path and record the decisions."""
    placed = Placed()
    touched: dict[int, bool] = {}
    for mirror, entry, found in batch:
        current = entries.get(db, entry.folder_id, entry.path)
        if current is None or current.absent or current.stamp != entry.stamp:
            continue  # it moved on since the batch was chosen: a younger look is due anyway
        decision = reconcile.decide(current, found, mirror.folder, now=now, multipart=multipart)
        match decision:
            case reconcile.Place():
                content_id = contents.identify(db, decision.key)
                due_at = decision.look_again_at
                contents.want(db, current, decision.stamp, content_id, due_at=due_at)
                touched[content_id] = True
            case reconcile.Reject():
                entries.rejected(db, current, decision.stamp, decision.reason)
                placed.rejected += 1
            case reconcile.Wait():
                entries.waiting(db, current, decision.stamp, until=decision.until, now=now)
                placed.waiting += 1
            case reconcile.Suspect():
                entries.suspected(db, current, decision.reason, until=decision.until)
                placed.suspect += 1
            case reconcile.Vanish():
                entries.missed(db, current.folder_id, current.path, now=now)
                placed.vanished += 1
            case reconcile.Disregard():
                entries.disregarded(db, current.folder_id, current.path)
            case _:
                assert_never(decision)
    for content_id in touched:
        _link_or_send(db, content_id, placed, now=now, server_now=server_now)
    return placed


def _link_or_send(
    db: sqlite3.Connection, content_id: int, placed: Placed, *, now: float, server_now: float
) -> None:
    way = reconcile.place(contents.facts(db, content_id, server_now=server_now))
    match way:
        case reconcile.Link():
            placed.linked += contents.settle(db, content_id, now=now)
            wants.call_renewal(db, content_id)
        case reconcile.Revive():
            created_at, expires_at = remotes.revive(db, content_id, server_now=server_now)
            due_at = renewals.renew_at(created_at=created_at, expires_at=expires_at)
            contents.plan_renewal(db, content_id, due_at)
            placed.linked += contents.settle(db, content_id, now=now, revived=True)
        case reconcile.Upload():
            contents.call_for(db, content_id, now=now)
            placed.to_send += 1
        case reconcile.Await():
            placed.to_send += 1
        case _:
            assert_never(way)
