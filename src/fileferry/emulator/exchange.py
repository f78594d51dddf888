"""What the gate tells an endpoint about its request, and how the endpoint gets hold of it."""

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from .journal import ReceivedRequest
from .records import Staleness
from .state import Emulator

__all__ = ["ConnectionDroppedError", "Exchange", "emulator_of", "exchange_of"]


class ConnectionDroppedError(Exception):
    """The connection is to be closed now, with no answer or with half of one.

    The server's protocol closes the socket; in one process, the client's transport turns it into
    an error of the network.
    """

    def __init__(self, *, is_started: bool) -> None:
        super().__init__("the emulator dropped the connection")
        self.is_started = is_started


@dataclass(slots=True)
class Exchange:
    """One request on its way through."""

    entry: ReceivedRequest
    project: str
    organization: str
    staleness: Staleness
    hide_younger: float
    null_bytes: bool


def exchange_of(request: Request) -> Exchange:
    """Return what the gate said about this request."""
    return cast("Exchange", request.scope["exchange"])


def emulator_of(request: Request) -> Emulator:
    """Return the state that this request works on."""
    return cast("Emulator", request.app.state.emulator)
