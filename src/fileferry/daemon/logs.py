"""Logs: structlog, pretty on a terminal, one JSON object a line otherwise; never the key, never a control character.

structlog is imported with the first line that is really written: a `sync` that finds nothing to do stays quick.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import FilteringBoundLogger

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Log:
    """A logger that builds the real one when it is first needed."""

    def __init__(self, level: str, secret: str | None = None) -> None:
        self._level = LEVELS[level]
        self._secret = secret
        self._real: FilteringBoundLogger | None = None

    def hide(self, secret: str) -> None:
        """Have a text left out of every line."""
        self._secret = secret
        self._real = None

    def debug(self, event: str, **facts: Any) -> None:
        """Log what only a developer wants to see."""
        self._log("debug", event, facts)

    def info(self, event: str, **facts: Any) -> None:
        """Log what was done."""
        self._log("info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Log what somebody may want to look at."""
        self._log("warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """Log what somebody has to look at."""
        self._log("error", event, facts)

    def _log(self, level: str, event: str, facts: dict[str, Any]) -> None:
        if LEVELS[level] < self._level:
            return
        if self._real is None:
            self._real = _build(self._level, self._secret)
        getattr(self._real, level)(event, **facts)


def _build(level: int, secret: str | None) -> FilteringBoundLogger:
    import structlog

    def scrub(
        _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {key: _clean(value, secret) for key, value in event.items()}

    tty = sys.stderr.isatty()
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if tty:
        renderer: Any = structlog.dev.ConsoleRenderer(colors=True)
    else:
        processors.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer(sort_keys=False, default=str)
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[*processors, scrub, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    return logger


def _clean(value: Any, secret: str | None) -> Any:
    if not isinstance(value, str):
        return value
    if secret and secret in value:
        value = value.replace(secret, "[key]")
    # A file name must not be able to write to the terminal, or a line of its own into the log.
    return "".join(
        char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in value
    )
