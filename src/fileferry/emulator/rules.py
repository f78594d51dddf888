"""What the Files API accepts: purposes, extensions, expiries, page limits. Pure checks.

Sources: OpenAI's specification (CreateFileRequest, FileExpirationAfter, listFiles) and published
answers of the service for the texts.
"""

from .errors import (
    ASSISTANT_FORMATS,
    ApiError,
    bad_extension,
    bad_value,
    missing_property,
    not_an_integer,
    out_of_range,
    wrong_purpose,
)

__all__ = [
    "DEFAULT_EXPIRY_SECONDS",
    "NO_DOWNLOAD",
    "PURPOSES",
    "check_name",
    "check_purpose",
    "expiry_of",
    "whole_number",
]

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
"""Purposes that can be uploaded."""

NO_DOWNLOAD = frozenset({"assistants", "user_data"})
"""Purposes whose content cannot be read back."""

DEFAULT_EXPIRY_SECONDS = {"batch": 30 * 86400}
"""How long files live that were uploaded without an expiry; others live until deleted."""

SHORTEST_EXPIRY_SECONDS = 3600
LONGEST_EXPIRY_SECONDS = 2_592_000

# As the service spells it, `responses` included and `evals` not.
_PURPOSES_NAMED = "'fine-tune','assistants','batch','user_data','responses','vision'"


def check_purpose(purpose: str) -> None:
    """Refuse a purpose that cannot be uploaded."""
    if purpose not in PURPOSES:
        raise wrong_purpose(purpose, _PURPOSES_NAMED)


def check_name(purpose: str, filename: str) -> None:
    """Refuse a file name whose extension the purpose does not take; case matters."""
    extension = filename.rpartition(".")[2] if "." in filename else ""
    if purpose == "assistants" and extension not in ASSISTANT_FORMATS:
        raise bad_extension(extension)
    if purpose in {"batch", "fine-tune"} and extension != "jsonl":
        api = "Batch API" if purpose == "batch" else "Fine-Tuning API"
        raise ApiError(400, f"Invalid file format for {api}. Must be .jsonl", param="file")


def expiry_of(anchor: str | None, seconds: str | int | None) -> int | None:
    """Return the seconds of an `expires_after`, None where there is none, or refuse it."""
    if anchor is None and seconds is None:
        return None
    if anchor is None:
        raise missing_property("expires_after[anchor]")
    if seconds is None:
        raise missing_property("expires_after[seconds]")
    if anchor != "created_at":
        raise bad_value("expires_after[anchor]", anchor, "'created_at'")
    return whole_number(
        "expires_after[seconds]", seconds, SHORTEST_EXPIRY_SECONDS, LONGEST_EXPIRY_SECONDS
    )


def whole_number(name: str, value: str | int, low: int, high: int) -> int:
    """Return a number within its bounds, or refuse it."""
    try:
        number = int(value)
    except ValueError:
        raise not_an_integer(name, str(value)) from None
    if not low <= number <= high:
        raise out_of_range(name, number, low, high)
    return number
