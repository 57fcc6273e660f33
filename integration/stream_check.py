"""What must hold in the result streams themselves, whoever reads them: the wire's rules, checked message by message.

1. Every epoch has one mark, and epochs only rise from mark to mark.
2. Every message stands where its owner expected it to: the broker was asked to refuse it anywhere else.
3. What the owner in force appends goes on exactly where the accepted ends: no gap, no overlap. But where a late append of an older
   owner took the place of one, those sent behind that one may have landed: readers drop them, and they come again.
"""

import collections

import nats_client


class StreamError(AssertionError):
    pass


def _mark(text):
    offset, index = text.split(".")
    return int(offset), int(index)


def check_stream(name, messages):
    """(sequence, headers, payload) of one result stream. Returns what was seen: {"messages", "epochs", "zombies", "ahead"}."""
    seen = collections.Counter()
    epoch, mark, overtaken, to_come = 0, (0, 0), False, False
    for sequence, headers, _ in messages:
        if "Millrace" not in headers:
            raise StreamError(f"{name} {sequence}: a stranger's message in a result stream")
        _, kind, _, _, own_epoch, prev, upto, _ = headers["Millrace"].split(" ")
        own_epoch, prev, upto = int(own_epoch), _mark(prev), _mark(upto)
        seen["messages"] += 1
        if headers.get("Nats-Expected-Last-Sequence") != str(sequence - 1):
            raise StreamError(f"{name} {sequence}: its owner expected {headers.get('Nats-Expected-Last-Sequence', 'nothing')} before it")
        if kind == "e":
            if own_epoch <= epoch:
                raise StreamError(f"{name} {sequence}: a mark of epoch {own_epoch} after one of epoch {epoch}")
            seen["epochs"] += 1
        if own_epoch < epoch:
            seen["zombies"] += 1  # readers drop it
            overtaken = True
            continue
        if overtaken and prev > mark and kind != "e":
            seen["ahead"] += 1  # likewise
            to_come = True
            continue
        overtaken = to_come = False
        if prev != mark or upto < prev:
            raise StreamError(f"{name} {sequence}: it goes from {prev} to {upto}, and what was accepted ends at {mark}")
        epoch, mark = own_epoch, upto
    if to_come:
        raise StreamError(f"{name}: what was overtaken behind {mark} did not come again")
    return seen


def check_crossing(name, messages, writers):
    """The log of a later segment, behind its end: under R3 each of the writers has said everything, and then that it has ended.
    Returns what was seen: {"messages", "zombies", "again"}."""
    seen = collections.Counter()
    state = {writer: {"epoch": 0, "mark": (0, 0), "ended": False} for writer in writers}
    for sequence, headers, _ in messages:
        if "Millrace" not in headers:
            continue  # a stranger's
        _, kind, _, writer, own_epoch, prev, upto, _ = headers["Millrace"].split(" ")
        if writer == "tick":
            continue
        if writer not in state:
            raise StreamError(f"{name} {sequence}: {writer} is none of its writers")
        now, own_epoch, prev, upto = state[writer], int(own_epoch), _mark(prev), _mark(upto)
        seen["messages"] += 1
        if own_epoch < now["epoch"]:
            seen["zombies"] += 1
            continue
        now["epoch"] = own_epoch
        if kind == "e" or prev > now["mark"]:
            continue  # a mark; or one before it is missing, and comes again
        if kind == "r" and upto <= now["mark"]:
            seen["again"] += 1
            continue
        if now["ended"] and kind == "r":
            raise StreamError(f"{name} {sequence}: {writer} goes on behind its end")
        now["mark"], now["ended"] = max(now["mark"], upto), now["ended"] or kind == "z"
    silent = [writer for writer, now in state.items() if not now["ended"]]
    if silent:
        raise StreamError(f"{name}: {', '.join(silent)} did not end, or what came before is missing")
    return seen


def check_job(cluster, job):
    """Every result stream of a job that has completed, and every log of its later segments."""
    seen = collections.Counter()
    rows = cluster.json("partitions", job)
    last = max(row["segment"] for row in rows)
    with nats_client.NatsClient(cluster.nats.url) as nats:
        for row in rows:
            segment, partition = row["segment"], row["partition"]
            if segment == last:
                stream = f"mr-{job}-out-{partition}"
                seen.update(check_stream(stream, nats.messages(stream)))
            if segment > 0:
                stream = f"mr-{job}-{segment}-{partition}"
                writers = [f"{segment - 1}.{above['partition']}" for above in rows if above["segment"] == segment - 1]
                seen.update(check_crossing(stream, nats.messages(stream), writers))
    return seen
