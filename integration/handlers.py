"""Handler processes in Python for tests: programs that use the package in sdk/python, which need pyzmq and msgpack."""

import os
import pathlib
import shutil
import subprocess
import sys

from cluster import Process

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "sdk/python/src"


def python():
    """An interpreter that has what handlers need."""
    for candidate in (os.environ.get("MILLRACE_HANDLER_PYTHON"), sys.executable, "/usr/bin/python3", str(ROOT / "build/sdk/bin/python")):
        if candidate and shutil.which(candidate):
            if subprocess.run([candidate, "-c", "import zmq, msgpack"], capture_output=True).returncode == 0:
                return candidate
    raise AssertionError("no Python with pyzmq and msgpack — apt-get install python3-zmq python3-msgpack")


def serve(program, connect, log, processes=1, handler="ledger"):
    """The program's processes; on SIGTERM they end what they have begun."""
    return Process([python(), "-B", program, "--connect", connect, "--processes", processes], log, {"PYTHONPATH": str(PACKAGE), "HANDLER": handler})
