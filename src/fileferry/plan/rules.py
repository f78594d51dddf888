"""What may be sent, as what, under which name: the rules of a folder, and the limits of the API.

Sources: the API reference of `files.create` (sizes, purposes, `.jsonl`), `batches` (50,000 lines, 200 MB), and
the public threads in which an upper-case extension was refused.
"""

from __future__ import annotations

from functools import lru_cache

from fileferry.ignore.rules import Rules
from fileferry.model import ContentKey, Dedup, Folder, Policy, Rule

FILES_LIMIT_BYTES = 512 * 1000**2
UPLOADS_LIMIT_BYTES = 8 * 1024**3
"""Of "8 GB" the larger reading, as the SDK reads its "64 MB": the API is told the size before a byte is sent."""
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
        if not _matches(rule.match, path):
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
        # Backslashes are doubled, or `\\xff` might be four characters as well as one byte.
        exact = path.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
        variant = f"{variant}|{folder.name}:{exact}"
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
    room = NAME_LIMIT_BYTES - len(suffix.encode())
    if room < 1:  # what follows the last dot is no extension that anybody asks for
        stem, suffix, room = stem + suffix, "", NAME_LIMIT_BYTES
    return stem.encode()[:room].decode("utf-8", "ignore") + suffix


@lru_cache(maxsize=256)
def _pattern(match: str) -> Rules:
    return Rules([match], default_ignore=False)


def _matches(match: str, path: bytes) -> bool:
    """Say whether a rule is about a path: patterns mean what they mean in ignore rules."""
    line = _pattern(match).explain(path, False, _no_file)
    return line is not None and line.source == "config" and not line.negated


def _no_file(_path: bytes) -> None:
    """No `.ferryignore` file has a say in what is sent as what."""


__all__ = ["Rule", "content_key", "fingerprint_text", "policy_for", "refusal", "sent_name"]
