"""Stages of Millrace jobs in Python.

from millrace import keyed, serve

@keyed
def total(record, state):
    state["total"] = state.get("total", 0) + record.value["amount"]
    return {"total": state["total"]}

if __name__ == "__main__":
    serve(total)
"""

from .calls import Emit, Record, Reject, Timer
from .handler import Handler, State, keyed, stateless
from .serve import serve
from .version import VERSION as __version__

__all__ = [
    "Emit",
    "Handler",
    "Record",
    "Reject",
    "State",
    "Timer",
    "keyed",
    "serve",
    "stateless",
    "__version__",
]
