"""serve(): a handler as a program, with its flags."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import protocol
from .endpoints import Endpoints
from .handler import Handler
from .processes import MAX_PROCESSES, Processes
from .service import Service
from .version import VERSION
from .watchdog import Watchdog


def serve(handler: Handler, argv: Sequence[str] | None = None) -> NoReturn:
    """Serves `handler` until SIGTERM or SIGINT, then finishes what runs, and exits. `argv`: default, the
    program's own."""
    if not isinstance(handler, Handler):
        raise TypeError("serve() takes a function decorated with @keyed or @stateless")
    options = _parse(handler, argv)
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(process)d %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    if options.processes == 0:
        sys.exit(_serve_here(handler, options, None))
    sys.exit(Processes(options.processes, lambda lifeline: _serve_here(handler, options, lifeline)).run())


def _serve_here(handler: Handler, options: argparse.Namespace, lifeline: int | None) -> int:
    watchdog = None if lifeline is None else Watchdog()
    service = Service(handler, options.endpoints, capacity=options.capacity, lifeline=lifeline, watchdog=watchdog)

    def on_signal(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)  # the second one ends it at once
        service.stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    service.run()
    return 0


def _parse(handler: Handler, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f"{handler.name}: a handler for a stage of a Millrace job ({handler.mode}).",
        epilog="example: %(prog)s --connect 'ipc:///run/fraud-*.sock' --processes 4",
    )
    parser.add_argument(
        "--connect",
        nargs="+",
        metavar="ENDPOINT",
        default=os.environ.get("MILLRACE_CONNECT", "").replace(",", " ").split(),
        help="where workers are: ipc:///PATH, which may be a pattern, or tcp://HOST:PORT (MILLRACE_CONNECT)",
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        type=_number(0, MAX_PROCESSES),
        default=os.environ.get("MILLRACE_PROCESSES", "1"),
        help=f"so many of this, at most {MAX_PROCESSES}; one that dies, or whose call takes longer than the stage's "
        "timeout, is started again. 0: this one alone and unwatched, for debuggers (MILLRACE_PROCESSES; 1)",
    )
    parser.add_argument(
        "--capacity",
        metavar="N",
        type=_number(1, protocol.MAX_CAPACITY),
        default=os.environ.get("MILLRACE_CAPACITY", "2"),
        help="batches of a worker at a process: one is worked on, the others wait (MILLRACE_CAPACITY; 2)",
    )
    parser.add_argument(
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        default=os.environ.get("MILLRACE_LOG_LEVEL", "info"),
        help="what is written to stderr (MILLRACE_LOG_LEVEL; info)",
    )
    parser.add_argument("--version", action="version", version=f"millrace (python) {VERSION}")
    options = parser.parse_args(argv)
    if not options.connect:
        parser.error("no worker to connect to — neither --connect nor MILLRACE_CONNECT is given — try --help")
    try:
        options.endpoints = Endpoints(options.connect)
    except ValueError as error:
        parser.error(str(error))
    return options


class _number:
    """An argparse type: an integer within bounds."""

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most

    def __call__(self, text: str) -> int:
        if not text.isascii() or not text.isdigit() or not self._least <= int(text) <= self._most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {self._least} to {self._most}")
        return int(text)
