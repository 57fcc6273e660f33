"""`@keyed` and `@stateless`: what makes a handler of a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from . import protocol
from .calls import Record, Timer

State = dict[str, Any]
KeyedFunction = Callable[[Record, State], Any]
TimerFunction = Callable[[Timer, State], Any]
StatelessFunction = Callable[[Record], Any]


class Handler:
    """A function with what serve() needs to know of it. Made by the decorators below.

    What the function returns is one output; None is none. A function that yields hands on each value that it
    yields. An output is a value, or an Emit. Calls of one Handler are never made at once in a process.
    """

    def __init__(self, function: Callable[..., Any], mode: str, name: str | None) -> None:
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__name__} is async: a handler is a plain function, or one that yields")
        self.function = function
        self.mode = mode
        self.name = (name or function.__name__)[: protocol.MAX_NAME_BYTES]
        self.timer_function: TimerFunction | None = None
        self.__doc__ = function.__doc__

    def on_timer(self, function: TimerFunction) -> TimerFunction:
        """Decorates what timers of this handler run: a function of (timer, state), with outputs as the handler's."""
        if self.mode != protocol.KEYED:
            raise TypeError(f"{self.name} is stateless: only a keyed handler has timers")
        self.timer_function = function
        return function

    def __call__(self, *arguments: Any) -> Any:
        """The plain function, for tests of it alone."""
        return self.function(*arguments)


def keyed(function: KeyedFunction) -> Handler:
    """A handler for `keyed: { remote: … }`: a function of (record, state).

    `state` is a dict that is kept for the record's key: change it in place. An empty one is no state: clear()
    drops the key. A call that raises changes nothing.
    """
    return Handler(function, protocol.KEYED, None)


def stateless(function: StatelessFunction) -> Handler:
    """A handler for stages without state: a function of (record)."""
    return Handler(function, protocol.STATELESS, None)
