"""What may be an endpoint: a URL that neither carries nor betrays a key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib.parse import SplitResult


def parse_url(value: object) -> str:
    """Check an endpoint and bring it to one form; ValueError never repeats what may be secret."""
    from urllib.parse import urlunsplit

    if not isinstance(value, str) or not re.fullmatch("[\\x21-\\x7e]+", value):
        raise ValueError
    parts, host = _split(value)
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError
    if "@" in parts.netloc:
        raise ValueError("it must not hold credentials; the key has a place of its own")
    if "?" in value or "#" in value:
        raise ValueError("it must end with its path, without `?` or `#`")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"plain http would show the key to everybody on the way to `{host}`")
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path.rstrip("/"), "", ""))


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine, without asking a name server."""
    import ipaddress

    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(value: str) -> tuple[SplitResult, str]:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(value)
        _ = parts.port  # raises when it is no port
    except ValueError:
        raise ValueError("it cannot be taken apart") from None
    return parts, parts.hostname or ""
