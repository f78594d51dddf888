"""MIME types by extension, told rather than guessed: the tables of hosts differ (`.ts` is a video on many)."""

from __future__ import annotations

DEFAULT = "application/octet-stream"

_TYPES = {
    ".c": "text/x-c",
    ".cpp": "text/x-c++",
    ".cs": "text/x-csharp",
    ".css": "text/css",
    ".csv": "text/csv",
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".gif": "image/gif",
    ".go": "text/x-golang",
    ".htm": "text/html",
    ".html": "text/html",
    ".java": "text/x-java",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".php": "text/x-php",
    ".png": "image/png",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".py": "text/x-python",
    ".rb": "text/x-ruby",
    ".rst": "text/x-rst",
    ".sh": "application/x-sh",
    ".tar": "application/x-tar",
    ".tex": "text/x-tex",
    ".toml": "application/toml",
    ".ts": "application/typescript",
    ".txt": "text/plain",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xml": "text/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
}


def mime_type(name: str) -> str:
    """Return the type for a name whose extension is in lower case."""
    dot = name.rfind(".")
    return _TYPES.get(name[dot:], DEFAULT) if dot >= 0 else DEFAULT
