"""What may be sent, as what, under which name: the rules of a folder, and the limits of the API.

Sources: the API reference of `files.create` (sizes, purposes, `.jsonl`), `batches` (50,000 lines, 200 MB), and
the public threads in which an upper-case extension was refused.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from fileferry.model import ContentKey, Dedup, Folder, Policy, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

FILES_LIMIT_BYTES = 512 * 1000**2
UPLOADS_LIMIT_BYTES = 8 * 1000**3
BATCH_LIMIT_BYTES = 200 * 1000**2
BATCH_LIMIT_LINES = 50_000
NAME_LIMIT_BYTES = 255


def policy_for(folder: Folder, path: bytes) -> Policy:
    """Return what the folder's rules say of a path: the last rule that matches wins, key by key."""
    purpose = folder.purpose
    expires = folder.expires_after_seconds
    name = folder.remote_name
    dedup = folder.dedup
    for rule in folder.rules:
        if not _matcher(rule.match)(path):
            continue
        purpose = rule.purpose or purpose
        if rule.expires_never:
            expires = None
        elif rule.expires_after_seconds is not None:
            expires = rule.expires_after_seconds
        name = rule.remote_name or name
        dedup = rule.dedup or dedup
    return Policy(purpose, expires, name, dedup)


def fingerprint_text(folder: Folder) -> str:
    """Return all that decides purpose and name, as one text: when it changes, entries are planned anew.

    The expiry is left out: it counts from the next upload (README, "Configuration").
    """
    rules = [(rule.match, rule.purpose, rule.remote_name, str(rule.dedup)) for rule in folder.rules]
    return repr((folder.purpose, folder.remote_name, str(folder.dedup), folder.digest, rules))


def content_key(folder: Folder, path: bytes, *, digest: str, size: int) -> ContentKey:
    """Return the content that a path with these bytes stands on."""
    policy = policy_for(folder, path)
    name = sent_name(policy, path, digest)
    _, extension = _split(name)
    variant = ""
    if policy.remote_name != "{name}":
        variant = policy.remote_name
    if policy.dedup is Dedup.CONTENT_AND_NAME:
        variant = f"{variant}|{name}"
    elif policy.dedup is Dedup.OFF:
        variant = f"{variant}|{folder.name}:{path.decode('utf-8', 'backslashreplace')}"
    return ContentKey(digest, size, policy.purpose, extension, variant)


def sent_name(policy: Policy, path: bytes, digest: str) -> str:
    """Return the name that the API is told: one line of printable text, its extension in lower case."""
    base = path.rpartition(b"/")[2].decode("utf-8", "backslashreplace")
    stem, suffix = _split(base)
    name = policy.remote_name.format(
        name=stem + suffix.lower(),
        stem=stem,
        suffix=suffix.lower(),
        digest8=digest.rpartition(":")[2][:8],
        path=path.decode("utf-8", "backslashreplace").replace("/", "_"),
    )
    stem, suffix = _split(name)
    return _shortened(_printable(stem), _printable(suffix.lower()))


def refusal(key: ContentKey, *, multipart: bool) -> str | None:
    """Return why a content may not be sent at all, or None. Decided before a byte is read.

    Args:
        key: what would be sent; only its size, purpose and extension matter.
        multipart: whether there is a way for files over 512 MB.
    """
    limit = UPLOADS_LIMIT_BYTES if multipart else FILES_LIMIT_BYTES
    if key.size == 0:
        return "the file is empty, and the API refuses empty files"
    if key.size > limit:
        return f"the file has {key.size:,} bytes, more than the API takes ({limit:,})"
    if key.purpose in {"batch", "fine-tune"} and key.extension != ".jsonl":
        return f"purpose `{key.purpose}` takes only .jsonl files"
    if key.purpose == "batch" and key.size > BATCH_LIMIT_BYTES:
        return f"a batch file may have {BATCH_LIMIT_BYTES:,} bytes, this one has {key.size:,}"
    return None


def _split(name: str) -> tuple[str, str]:
    dot = name.rfind(".")
    return (name, "") if dot <= 0 else (name[:dot], name[dot:])


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "_" for char in text)


def _shortened(stem: str, suffix: str) -> str:
    room = max(1, NAME_LIMIT_BYTES - len(suffix.encode()))
    return stem.encode()[:room].decode("utf-8", "ignore") + suffix


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> Callable[[bytes], object]:
    # Like a .gitignore line: without an inner slash it matches at any depth.
    anchored = "/" in pattern.strip("/")
    body = _translate(pattern.strip("/"))
    return re.compile((b"" if anchored else b"(?:.*/)?") + body, re.DOTALL).fullmatch


_TOKEN = re.compile(
    r"(?P<deep>(?:^|(?<=/))\*\*/)|(?P<rest>\*\*)|(?P<star>\*)|(?P<one>\?)|(?P<set>\[[!^]?\]?[^\]]*\])"
)


def _translate(pattern: str) -> bytes:
    out: list[str] = []
    position = 0
    for token in _TOKEN.finditer(pattern):
        out.append(re.escape(pattern[position : token.start()]))
        position = token.end()
        match token.lastgroup:
            case "deep":
                out.append("(?:.*/)?")
            case "rest":
                out.append(".*")
            case "star":
                out.append("[^/]*")
            case "one":
                out.append("[^/]")
            case _:
                inner = token.group()[1:-1]
                negated = inner[:1] in {"!", "^"}
                inner = inner[1:] if negated else inner
                out.append(f"[{'^' if negated else ''}{inner.replace(chr(92), chr(92) * 2)}]")
    out.append(re.escape(pattern[position:]))
    return os_bytes("".join(out))


def os_bytes(text: str) -> bytes:
    """Encode as the file system does: surrogate escapes become the bytes that they stand for."""
    return text.encode("utf-8", "surrogateescape")


__all__ = ["Rule", "content_key", "fingerprint_text", "policy_for", "refusal", "sent_name"]
