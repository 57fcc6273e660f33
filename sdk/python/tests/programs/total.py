"""A handler for tests, as a program: a running total for each key, which does to itself what a record says."""

import os
import signal
import time

from millrace import Record, State, keyed, serve


@keyed
def total(record: Record, state: State) -> object:
    what = record.value.get("do")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "exit":
        raise SystemExit(3)
    elif what == "hang":
        time.sleep(3600)
    elif what == "sleep":
        time.sleep(record.value["s"])
    elif what == "wait":
        while not os.path.exists(record.value["file"]):
            time.sleep(0.01)
    elif what == "die once":  # the first process that sees it makes the file
        try:
            os.close(os.open(record.value["file"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    state["total"] = state.get("total", 0) + record.value.get("amount", 0)
    return {"total": state["total"], "pid": os.getpid()}


if __name__ == "__main__":
    serve(total)
