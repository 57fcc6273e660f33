"""Where workers are: endpoints, and patterns of them."""

from __future__ import annotations

import glob
import os
import re
import stat

_MAX_IPC_BYTES = 107  # of a path, on Linux
_TCP = re.compile(r"tcp://(\[[0-9A-Fa-f:.%\w]+\]|[A-Za-z0-9_.-]+):(\d{1,5})")


class Endpoints:
    """What --connect was given. ValueError, for people to read, where something of it is no endpoint."""

    def __init__(self, given: list[str]) -> None:
        self._fixed: list[str] = []
        self._patterns: list[str] = []
        for endpoint in given:
            self._add(endpoint)

    def look(self) -> list[str]:
        """The endpoints there are now: those given, and the sockets that a pattern finds. In a fixed order."""
        found = set(self._fixed)
        for pattern in self._patterns:
            found.update("ipc://" + path for path in glob.glob(pattern) if _is_socket(path))
        return sorted(found)

    def _add(self, endpoint: str) -> None:
        if endpoint.startswith("ipc://"):
            path = endpoint[len("ipc://") :]
            if not path.startswith("/"):
                raise ValueError(f"`{endpoint}` has no absolute path — like ipc:///run/fraud-*.sock")
            if glob.has_magic(path):
                self._patterns.append(path)
                return
            if len(os.fsencode(path)) > _MAX_IPC_BYTES:
                raise ValueError(f"`{endpoint}` is longer than {_MAX_IPC_BYTES} bytes — the system takes no more")
        else:
            match = _TCP.fullmatch(endpoint)
            if match is None or not 1 <= int(match[2]) <= 65535:
                raise ValueError(f"`{endpoint}` is no endpoint — like ipc:///run/fraud-*.sock or tcp://127.0.0.1:7001")
        self._fixed.append(endpoint)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:  # gone again
        return False
