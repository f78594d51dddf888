"""The checks that the Batch API makes of its input, made here before a byte is sent.

Source: the Batch guide: at most 50,000 requests, each line a JSON object with a `custom_id` of its own.
"""

from __future__ import annotations

import json

LIMIT_LINES = 50_000
LONGEST_LINE_BYTES = 64 * 1024 * 1024


class BatchLines:
    """Fed with the bytes of a file in pieces; `problem` says what is wrong with its first bad line, or None."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self._rest = b""
        self._count = 0
        self._ids: set[str] = set()

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        if self.problem is not None:
            return
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._check(line)
        if len(self._rest) > LONGEST_LINE_BYTES:
            self.problem = f"line {self._count + 1} is longer than {LONGEST_LINE_BYTES:,} bytes"

    def finish(self) -> str | None:
        """Take the end of the file and return the problem, or None."""
        if self._rest.strip() and self.problem is None:
            self._check(self._rest)
        if self._count == 0 and self.problem is None:
            self.problem = "there is no request in it"
        return self.problem

    def _check(self, line: bytes) -> None:
        if self.problem is not None or not line.strip():
            return
        self._count += 1
        if self._count > LIMIT_LINES:
            self.problem = f"it has more than {LIMIT_LINES:,} requests"
            return
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):  # nested a thousand deep is JSON, but no request
            self.problem = f"line {self._count} is not JSON"
            return
        custom_id = request.get("custom_id") if isinstance(request, dict) else None
        if not isinstance(custom_id, str) or not custom_id:
            self.problem = f"line {self._count} has no `custom_id`"
        elif custom_id in self._ids:
            self.problem = f"line {self._count} repeats the `custom_id` of an earlier line"
        else:
            self._ids.add(custom_id)
