"""Ways to break a rule of fileferry: what is done instead takes the place of what is done while a patch lasts."""

from __future__ import annotations

import inspect
import sys
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fileferry.daemon import audit, departures, inspection, opening, results, survey
from fileferry.errors import SourceGone, SourceUnreadable
from fileferry.index import contents, entries, intents, leaving, remotes
from fileferry.local import reader, root, scanner
from fileferry.plan import guard, renewals, settlement
from fileferry.remote import openai

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from pytest import MonkeyPatch  # noqa: PT013 - only its type


def rewrite(
    patch: MonkeyPatch, place: ModuleType | type, name: str, *changes: tuple[str, str]
) -> None:
    """Put a function in place of another that differs from it in some words of its source."""
    function = inspect.unwrap(getattr(place, name))
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in changes:
        assert old in source, f"`{name}` does not say {old!r} any more"
        source = source.replace(old, new)
    scope = dict(vars(sys.modules[function.__module__]))
    exec(
        compile(f"from __future__ import annotations\n{source}", function.__module__, "exec"), scope
    )
    patch.setattr(place, name, scope[name])


def reword(patch: MonkeyPatch, place: ModuleType, name: str, change: tuple[str, str]) -> None:
    """Put a part of a statement in place of another."""
    words, (old, new) = getattr(place, name), change
    assert old in words, f"`{name}` does not say {old!r} any more"
    patch.setattr(place, name, words.replace(old, new))


def taken_back_after_a_renewal(patch: MonkeyPatch) -> None:
    rewrite(
        patch, remotes, "revivable",
        (" AND reason IN (?, ?)", ""), ("*TAKEN_BACK, ", ""),
    )  # fmt: skip


def missing_after_one_listing(patch: MonkeyPatch) -> None:
    patch.setattr(settlement, "settle", _settled(lambda said: settlement.Missing(final=True)))


def _settled(otherwise: Callable[[settlement.Missing], settlement.Missing]) -> Callable[..., Any]:
    real = settlement.settle

    def settle_hastily(*args: Any, **options: Any) -> settlement.Found | settlement.Missing:
        said = real(*args, **options)
        return otherwise(said) if isinstance(said, settlement.Missing) else said

    return settle_hastily


def missing_after_one_late_listing(patch: MonkeyPatch) -> None:
    patch.setattr(settlement, "ENOUGH_ABSENCES", 1)


def nonce_not_looked_at(patch: MonkeyPatch) -> None:
    rewrite(
        patch, settlement, "settle",
        ("if file.expires_at is not None and file.expires_at - file.created_at == expires_seconds:", "if True:"),
    )  # fmt: skip


def match_called_proven(patch: MonkeyPatch) -> None:
    rewrite(patch, settlement, "settle", ("Proof.MATCHED", "Proof.PROVEN"))


def dark_directory_taken_for_empty(patch: MonkeyPatch) -> None:
    real = scanner.Walk.files

    def files(self: scanner.Walk, start: bytes = b"") -> Iterator[Any]:
        return (
            sighting for sighting in real(self, start) if not isinstance(sighting[1], scanner.Dark)
        )

    patch.setattr(scanner.Walk, "files", files)


def unreadable_path_taken_for_gone(patch: MonkeyPatch) -> None:
    real = reader.glance

    def glance(*args: Any, **options: Any) -> Any:
        try:
            return real(*args, **options)
        except SourceUnreadable as error:
            raise SourceGone(error.message) from error

    patch.setattr(survey, "glance", glance)


def no_second_look(patch: MonkeyPatch) -> None:
    patch.setattr(departures.Departures, "_look_again", lambda self, mirror, paths: None)


def held_is_let_go(patch: MonkeyPatch) -> None:
    rewrite(patch, leaving, "absences", (" AND absent = 1 AND hold_id IS NULL", " AND absent = 1"))
    rewrite(patch, leaving, "let_go", (" AND absent = 1 AND hold_id IS NULL", " AND absent = 1"))


def kept_is_let_go(patch: MonkeyPatch) -> None:
    rewrite(patch, leaving, "absences", (" AND state <> 'kept' ORDER", " ORDER"))
    rewrite(
        patch, leaving, "let_go", ("\"\n            \" AND state <> 'kept' RETURNING", " RETURNING")
    )
    rewrite(patch, entries, "missed", ("NOT IN ('kept', 'ignored')", "NOT IN ('ignored')"))
    rewrite(patch, survey, "_unmatched", ('{"ignored", "kept"}', '{"ignored"}'))


def guard_asleep(patch: MonkeyPatch) -> None:
    patch.setattr(guard, "deletes_held", lambda **_: None)


def any_root_trusted(patch: MonkeyPatch) -> None:
    real = root.prove

    def prove(*args: Any, **options: Any) -> root.Proof:
        return replace(real(*args, **options), trouble=None)

    patch.setattr(root, "prove", prove)


def no_scan_before_a_delete(patch: MonkeyPatch) -> None:
    reword(patch, leaving, "_DELETABLE", ("retired_at < :scans_began_at", "TRUE"))


def interrupted_delete_forgotten(patch: MonkeyPatch) -> None:
    reword(
        patch, leaving, "_DELETABLE", ("state IN ('retiring', 'deleting')", "state = 'retiring'")
    )


def given_up_while_it_answers(patch: MonkeyPatch) -> None:
    real = contents.want

    def want(db: Any, entry: Any, *args: Any, **options: Any) -> None:
        real(db, entry, *args, **options)
        db.execute(
            "UPDATE remote SET state = 'retiring', reason = 'renewed', retired_at = 0, delete_at = 0"
            " WHERE state = 'live' AND content_id = ?",
            (entry.held_id,),
        )

    patch.setattr(contents, "want", want)


def open_at_a_start_taken_for_not_sent(patch: MonkeyPatch) -> None:
    rewrite(patch, intents, "give_up_all", ("WHERE {_IN_PARTS}", "WHERE state = 'open'"))


def lost_answer_taken_for_not_sent(patch: MonkeyPatch) -> None:
    rewrite(
        patch, results.Results, "give_up",
        ("intents.give_up(db, intent_id, now=now)", "intents.close(db, intent_id, 'not sent', now=now)"),
        ("until=None", "until=now"),
    )  # fmt: skip


def sdk_retries(patch: MonkeyPatch) -> None:
    rewrite(patch, openai, "connect", ("max_retries=0", "max_retries=2"))


def sent_bytes_not_verified(patch: MonkeyPatch) -> None:
    patch.setattr(opening.Opened, "verify", lambda self, expected: None)


def killed_reading_trusted(patch: MonkeyPatch) -> None:
    patch.setattr(opening.Opened, "reading", None)


def lost_without_asking(patch: MonkeyPatch) -> None:
    async def confirm_lost(self: Any, file_id: str) -> bool:
        now = self._clock.wall()
        await self._writer.run(lambda db: remotes.lose(db, file_id, now=now))
        return True

    patch.setattr(audit.Auditor, "_confirm_lost", confirm_lost)


def never_renewed(patch: MonkeyPatch) -> None:
    patch.setattr(renewals, "renew_at", lambda **_: None)


def ignored_taken_for_gone(patch: MonkeyPatch) -> None:
    rewrite(patch, survey, "_unmatched", ("if is_left_out:", "if False:"))


def racy_stamp_trusted(patch: MonkeyPatch) -> None:
    patch.setattr(inspection, "is_racy", lambda *args, **options: False)


def change_time_not_compared(patch: MonkeyPatch) -> None:
    rewrite(patch, survey, "_join", ("or found.st_ctime_ns != row[3]", ""))
