"""Ends a process whose call hangs, and shows where it hung.

A worker gives up a call that takes too long, but cannot end the process that is stuck in it. This does, by a signal
whose handler is C: it comes through whatever Python code, or code that holds the interpreter's lock, is at.
"""

from __future__ import annotations

import faulthandler
import signal


class Watchdog:
    """Uses SIGALRM and its timer.

    REQUIRES: made and used on the main thread of a process that somebody starts again.
    """

    def __init__(self) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.register(signal.SIGALRM, all_threads=True, chain=True)

    def arm(self, seconds: float) -> None:
        """The process ends in so long, unless it is armed anew or rests before."""
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def rest(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
