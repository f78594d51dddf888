"""A server that speaks OpenAI's Files and Uploads APIs on loopback, for tests and for the demo.

It reproduces the published contract, its error bodies and its quirks, and can be made to misbehave.
It imports nothing from the rest of fileferry: the two must not share a mistake.

A request goes `server` (sockets) -> `gate` (journal, faults, key, rate) -> an API's module
(`files`, `uploads`) -> `store`, `upload_store` (SQLite and blobs). `switchboard` turns the state
in `state`.
"""

from .app import EmulatorApp, create_app
from .exchange import ConnectionDroppedError
from .faults import Fault, FaultKind, Moment
from .keys import Key, KeyStatus
from .server import serve
from .state import Emulator, Options

__all__ = [
    "ConnectionDroppedError",
    "Emulator",
    "EmulatorApp",
    "Fault",
    "FaultKind",
    "Key",
    "KeyStatus",
    "Moment",
    "Options",
    "create_app",
    "serve",
]
