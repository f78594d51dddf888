"""Every exception of fileferry, each with the exit code of a command that ends with it and a hint.

FerryError                     1  something went wrong
├── UsageError                 2  the command line makes no sense
├── ConfigError               78  the configuration is wrong
├── NotInitialised            10  there is no configuration, or no index yet
├── LockHeld                  11  another process mirrors with this state or this root
├── UnknownPath                4  a path or an id that is not in the index
├── NotInSync                  6  there is no id for these bytes yet, or a wait ran out
├── SomeFailed                 3  done, but some files could not be
├── Held                       8  a guard holds something, or a halt asks a question
├── DaemonUnreachable          5  a command that needs the daemon found none
├── IndexDamaged               1  the index cannot be read as one of ours
├── IndexGone                  1  the index was removed or replaced while it was open
├── IndexUnwritable            5  the index takes nothing now: disk full, read-only, locked
├── SourceError                1  a local file could not be read as it should
│   ├── SourceGone                it is not there any more, proven
│   ├── SourceUnreadable          it may be there, but cannot be read
│   └── SourceChanged             it changed while it was being read
└── RemoteError                1  the API did not do what was asked
    ├── RemoteRefused             permanent: asking again will not help
    │   ├── RemoteMissing         the id does not exist there
    │   ├── PartsRefused          it takes no file in parts, or none for this purpose
    │   ├── CredentialsRefused 7  the key is wrong, or lacks a scope
    │   └── QuotaExhausted     7  storage or billing quota used up
    ├── Barred                 5  something before the API refused this one request
    ├── TooSlow                5  the line cannot carry a file in the time that the API gives it
    ├── PartsDamaged           5  parts made another file than they should
    ├── RemoteUnavailable      5  transient: known not to have been done
    └── OutcomeUnknown         5  it may have been done, or not

Catch by class, never by message. Messages are lower case, name the object in backticks and have no full
stop; the hint is the next thing to do.
"""

from __future__ import annotations


class FerryError(Exception):
    """The root of the tree.

    Args:
        message: what happened, and to what.
        hint: what to do next, one line, or None where nothing can be advised.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(FerryError):
    """The command line makes no sense."""

    exit_code = 2


class ConfigError(FerryError):
    """The configuration is wrong."""

    exit_code = 78


class NotInitialised(FerryError):
    """There is no configuration, or no index yet."""

    exit_code = 10


class LockHeld(FerryError):
    """Another process mirrors with this state directory or this root."""

    exit_code = 11


class UnknownPath(FerryError):
    """A path or an id that is not in the index."""

    exit_code = 4


class NotInSync(FerryError):
    """There is no id for these bytes yet, or a wait ran out."""

    exit_code = 6


class SomeFailed(FerryError):
    """All was done that could be, but some files could not."""

    exit_code = 3


class Held(FerryError):
    """A guard holds something, or a halt asks a question."""

    exit_code = 8


class Stuck(FerryError):
    """A daemon can send nothing before somebody acts.

    Args:
        exit_code: of what keeps it: a halt, or a refusal.
    """

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message, hint="`fileferry status` says what continues")
        self.exit_code = exit_code


class DaemonUnreachable(FerryError):
    """A command that needs the daemon found none."""

    exit_code = 5


class IndexDamaged(FerryError):
    """The index cannot be read as one of ours."""


class IndexGone(FerryError):
    """The index was removed or replaced while it was open: what is written now, nobody will ever read."""


class IndexUnwritable(FerryError):
    """The index takes nothing now, though it can be read: the disk is full, read-only, or somebody locks it."""

    exit_code = 5


class SourceError(FerryError):
    """A local file could not be read as it should."""


class SourceGone(SourceError):
    """It is not there any more: its nearest surviving ancestor was opened and says so."""


class SourceUnreadable(SourceError):
    """It may be there, but cannot be read.

    Args:
        errno: the operating system's reason.
    """

    def __init__(self, message: str, *, errno: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno


class SourceChanged(SourceError):
    """It changed while it was being read, so what was read may never have existed."""


class RemoteError(FerryError):
    """The API did not do what was asked.

    Args:
        status: the HTTP status, or None when there was no answer.
        code: the API's error code, such as `invalid_api_key`.
        request_id: the API's `x-request-id`, for its support.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.request_id = request_id


class RemoteRefused(RemoteError):
    """Permanent: asking again with the same bytes will not help."""


class RemoteMissing(RemoteRefused):
    """The id does not exist at the remote, or not for this project."""


class PartsRefused(RemoteRefused):
    """The API takes no file in parts, or none for this purpose; a smaller one may go in one piece."""


class CredentialsRefused(RemoteRefused):
    """The key is wrong, or lacks a scope."""

    exit_code = 7


class QuotaExhausted(RemoteRefused):
    """The storage or billing quota is used up; no call can pass until somebody acts."""

    exit_code = 7


class Barred(RemoteError):
    """Something between us and the API refused this one request, a filter perhaps; others may pass."""

    exit_code = 5


class TooSlow(RemoteError):
    """The line cannot carry a file in the time that the API gives it; it was not sent."""

    exit_code = 5


class PartsDamaged(RemoteError):
    """The parts that were sent do not make the file: it was not stored, and has to be sent anew."""

    exit_code = 5


class RemoteUnavailable(RemoteError):
    """Transient, and known not to have been done.

    Args:
        retry_after_seconds: how long the server asked us to wait, or None.
        reached: False when not even a connection came about.
    """

    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        hint: str | None = None,
        retry_after_seconds: float | None = None,
        reached: bool = True,
    ) -> None:
        super().__init__(message, status=status, code=code, request_id=request_id, hint=hint)
        self.retry_after_seconds = retry_after_seconds
        self.reached = reached


class OutcomeUnknown(RemoteError):
    """The request may have been carried out, or not: only a later listing can tell.

    Args:
        retry_after_seconds: how long the server asked us to wait, or None.
    """

    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        hint: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code, request_id=request_id, hint=hint)
        self.retry_after_seconds = retry_after_seconds
