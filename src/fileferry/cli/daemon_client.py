"""Speak to the daemon through its control socket. Standard library only."""

from __future__ import annotations

import os
import socket

from fileferry.errors import DaemonUnreachable, FerryError

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    from typing import Any

SOCKET_NAME = "control.sock"
CONNECT_SECONDS = 5.0
START = "start it: `fileferry run`, or `systemctl start fileferry@NAME`"


class DaemonClient:
    """The daemon of one state directory."""

    def __init__(self, state_directory: str) -> None:
        self._directory = state_directory

    def get(self, path: str) -> dict[str, Any]:
        """Ask for something.

        Raises:
            DaemonUnreachable: no daemon answers there.
        """
        return self._call("GET", path, None)

    def post(
        self, path: str, body: object, *, timeout_seconds: float | None = None
    ) -> dict[str, Any]:
        """Have something done, and wait for it.

        Args:
            path: what.
            body: its arguments, as JSON.
            timeout_seconds: give up after so long; None: wait as long as it takes.

        Raises:
            DaemonUnreachable: no daemon answers there.
            FerryError: the daemon refused, with the exit code that it gave.
        """
        return self._call("POST", path, body, timeout_seconds)

    def _call(
        self, method: str, path: str, body: object, timeout_seconds: float | None = CONNECT_SECONDS
    ) -> dict[str, Any]:
        import json
        from http.client import HTTPConnection, HTTPException

        connection = HTTPConnection("localhost")
        try:
            connection.sock = self._connect()
            connection.sock.settimeout(timeout_seconds)
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise DaemonUnreachable(
                f"no daemon runs for `{self._directory}`", hint=START
            ) from error
        except (OSError, HTTPException, ValueError) as error:
            raise DaemonUnreachable(
                f"the daemon of `{self._directory}` does not answer: {error}",
                hint="only the user that runs it may speak to it"
                if isinstance(error, PermissionError)
                else START,
            ) from error
        finally:
            connection.close()
        if response.status == 200 and isinstance(answer, dict):
            return answer
        refusal = FerryError(str(answer.get("error", "refused")), hint=answer.get("hint"))
        refusal.exit_code = int(answer.get("exit_code", 1))
        raise refusal

    def _connect(self) -> socket.socket:
        # Through a descriptor: the path of a state directory may be longer than a socket address.
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
        except OSError:
            connection.close()
            raise
        finally:
            os.close(directory)
        return connection
