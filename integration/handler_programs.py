"""Handlers for tests, one of which HANDLER names: the ledger's {count, sum, chain} for each key, with records that say what is to
become of their process; records as they are; words of a text; the same put together again; and how often each came, told by a timer."""

import os
import signal
import time

from millrace import Emit, Reject, keyed, serve, stateless

CHAIN_MODULUS = 1_000_003


@keyed
def ledger(record, state):
    what = record.value.get("do")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang":
        time.sleep(3600)
    if what == "reject":
        raise Reject("it is not taken")
    seq = record.value["seq"]
    state["count"] = state.get("count", 0) + 1
    state["sum"] = state.get("sum", 0) + seq
    state["chain"] = (state.get("chain", 0) * 31 + seq) % CHAIN_MODULUS
    return {**state, "seq": seq}


@stateless
def passed(record):
    return {"seq": record.value["seq"]}


@stateless
def words(record):
    for word in record.value["text"].split():
        yield Emit({"word": word}, headers={"from": record.key})


@keyed
def joined(record, state):
    word = record.value["word"]
    state["count"] = state.get("count", 0) + 1
    state["words"] = state.get("words", "") + word
    return {"word": word, **state}


@keyed
def told(record, state):
    if not state:
        record.timer("1h")
    state["count"] = state.get("count", 0) + 1
    state["from"] = record.headers["from"]


@told.on_timer
def tells(timer, state):
    yield {"count": state["count"], "from": state["from"], "ending": timer.ending}
    state.clear()


if __name__ == "__main__":
    serve({"ledger": ledger, "passed": passed, "words": words, "joined": joined, "told": told}[os.environ.get("HANDLER", "ledger")])
