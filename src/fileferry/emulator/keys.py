"""What an API key may do and whose it is. Any key is good until it is said otherwise."""

from dataclasses import dataclass
from enum import StrEnum

from .errors import ApiError, insufficient_quota, invalid_key, missing_scope

__all__ = ["DEFAULT_ORGANIZATION", "DEFAULT_PROJECT", "Key", "KeyRing", "KeyStatus"]

DEFAULT_PROJECT = "proj_default"
DEFAULT_ORGANIZATION = "org-default"


class KeyStatus(StrEnum):
    """How the API treats a key."""

    OK = "ok"
    INVALID = "invalid"
    NO_SCOPE = "no_scope"
    QUOTA = "quota"


@dataclass(frozen=True, slots=True)
class Key:
    """One API key."""

    key: str
    status: KeyStatus = KeyStatus.OK
    project: str = DEFAULT_PROJECT
    organization: str = DEFAULT_ORGANIZATION

    def refusal(self, method: str) -> ApiError | None:
        """Return why the key may not do this, if it may not."""
        match self.status:
            case KeyStatus.OK:
                return None
            case KeyStatus.INVALID:
                return invalid_key(self.key)
            case KeyStatus.NO_SCOPE:
                return missing_scope(
                    "api.files.read" if method in {"GET", "HEAD"} else "api.files.write"
                )
            case KeyStatus.QUOTA:
                # Reading and deleting cost nothing, so only making is refused.
                return insufficient_quota() if method == "POST" else None


class KeyRing:
    """The keys that something was said about."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}

    def set(self, key: Key) -> None:
        """Say what a key is from now on."""
        self._keys[key.key] = key

    def get(self, key: str) -> Key:
        """Return what is known of a key."""
        return self._keys.get(key) or Key(key)
