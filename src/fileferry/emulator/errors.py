"""What the API refuses with: one exception that knows its answer, and one function per refusal.

Every answer that is not a success has the body `{"error": {"message", "type", "param", "code"}}`
(OpenAI's specification, ErrorResponse). Texts follow answers of the real service where one has been
published; where none has, they are ours, and say so by being plain.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "ApiError",
    "bad_extension",
    "bad_value",
    "connection_closed",
    "download_refused",
    "empty_file",
    "insufficient_quota",
    "invalid_key",
    "malformed_body",
    "missing_key",
    "missing_property",
    "missing_scope",
    "no_such_file",
    "not_an_integer",
    "out_of_range",
    "rate_limited",
    "too_large",
    "unknown_url",
    "wrong_method",
    "wrong_purpose",
]

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

# fmt: off
ASSISTANT_FORMATS = (
    "c", "cpp", "css", "csv", "doc", "docx", "gif", "go", "html", "java",
    "jpeg", "jpg", "js", "json", "md", "pdf", "php", "pkl", "png", "pptx",
    "py", "rb", "tar", "tex", "ts", "txt", "webp", "xlsx", "xml", "zip",
)
# fmt: on
"""Extensions that purpose `assistants` takes, as its refusal lists them."""


class ApiError(Exception):
    """An answer that refuses."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str | None = "invalid_request_error",
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.kind = kind
        self.headers = headers

    def body(self) -> bytes:
        """Return the JSON body of the answer."""
        fields = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        return json.dumps({"error": fields}, indent=2).encode()


def missing_key() -> ApiError:
    """Refuse: no bearer key came with the request."""
    return ApiError(
        401,
        "You didn't provide an API key. Send it in the Authorization header with Bearer auth"
        " (Authorization: Bearer YOUR_KEY).",
        code="invalid_api_key",
    )


def invalid_key(key: str) -> ApiError:
    """Refuse: the key is unknown or was revoked."""
    return ApiError(401, f"Incorrect API key provided: ****{key[-4:]}.", code="invalid_api_key")


def missing_scope(scope: str) -> ApiError:
    """Refuse: the key may not do this. The real service says 401 and names the scope."""
    return ApiError(
        401,
        f"You have insufficient permissions for this operation. Missing scopes: {scope}.",
    )


def insufficient_quota() -> ApiError:
    """Refuse: billing says no. A 429 that retrying does not help."""
    return ApiError(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        code="insufficient_quota",
        kind="insufficient_quota",
    )


def rate_limited(limit: int, retry_after: int, headers: Mapping[str, str]) -> ApiError:
    """Refuse: too many requests in a minute."""
    return ApiError(
        429,
        f"Rate limit reached for requests per min (RPM): Limit {limit}."
        f" Please try again in {retry_after}s.",
        code="rate_limit_exceeded",
        kind="rate_limit_error",
        headers={"retry-after": str(retry_after), **headers},
    )


def unknown_url(method: str, path: str) -> ApiError:
    """Refuse: there is no such route."""
    return ApiError(404, f"Invalid URL ({method} {path})", code="unknown_url")


def wrong_method(method: str, path: str) -> ApiError:
    """Refuse: the route exists, but not for this method."""
    return ApiError(405, f"Not allowed to {method} on {path}.", code="method_not_supported")


def no_such_file(file_id: str) -> ApiError:
    """Refuse: the project has no such file, or no longer."""
    return ApiError(404, f"No such File object: {file_id}", param="id")


def download_refused(purpose: str) -> ApiError:
    """Refuse: files of this purpose cannot be read back."""
    return ApiError(400, f"Not allowed to download files of purpose: {purpose}")


def wrong_purpose(purpose: str, allowed: str) -> ApiError:
    """Refuse: the purpose is not one that can be uploaded."""
    return ApiError(400, f"'{purpose}' is not one of [{allowed}] - 'purpose'")


def missing_property(name: str) -> ApiError:
    """Refuse: a required field did not come."""
    return ApiError(400, f"'{name}' is a required property", param=name)


def bad_value(name: str, value: str, supported: str) -> ApiError:
    """Refuse: a field has a value outside its enumeration."""
    return ApiError(
        400,
        f"Invalid value: '{value}'. Supported values are: {supported}.",
        param=name,
        code="invalid_value",
    )


def not_an_integer(name: str, value: str) -> ApiError:
    """Refuse: a field that counts something does not hold a number."""
    return ApiError(
        400,
        f"Invalid type for '{name}': expected an integer, but got '{value}' instead.",
        param=name,
        code="invalid_type",
    )


def out_of_range(name: str, value: int, low: int, high: int) -> ApiError:
    """Refuse: a number is outside its bounds."""
    side, sign, bound, code = (
        ("below minimum value", ">=", low, "integer_below_min_value")
        if value < low
        else ("above maximum value", "<=", high, "integer_above_max_value")
    )
    return ApiError(
        400,
        f"Invalid '{name}': integer {side}. Expected a value {sign} {bound},"
        f" but got {value} instead.",
        param=name,
        code=code,
    )


def bad_extension(extension: str) -> ApiError:
    """Refuse: purpose `assistants` does not take this kind of file; upper case is another kind."""
    formats = ",".join(f'"{name}"' for name in ASSISTANT_FORMATS)
    return ApiError(400, f"Invalid extension {extension}. Supported formats: {formats}")


def empty_file() -> ApiError:
    """Refuse: a file of no bytes."""
    return ApiError(400, "File is empty.", param="file")


def too_large(limit: int) -> ApiError:
    """Refuse: more bytes than one file may have. The real text is not published."""
    return ApiError(
        413,
        f"File is too large. The maximum size is {limit} bytes.",
        param="file",
        code="file_too_large",
    )


def malformed_body(why: str) -> ApiError:
    """Refuse: the body is not what its Content-Type says."""
    return ApiError(400, f"We could not parse the body of your request: {why}.")


def connection_closed() -> ApiError:
    """Refuse: the client left in the middle of its body. The journal keeps the 499."""
    return ApiError(499, "The client closed the connection.")
