"""What must hold in the result streams themselves, whoever reads them: the wire's rules, checked message by message.

1. Every epoch has one mark, and epochs only rise from mark to mark.
2. Every message stands where its owner expected it to: the broker was asked to refuse it anywhere else.
3. What the owner in force appends goes on exactly where the accepted ends: no gap, no overlap.
"""

import collections

import nats_client


class StreamError(AssertionError):
    pass


def _mark(text):
    offset, index = text.split(".")
    return int(offset), int(index)


def check_stream(name, messages):
    """(sequence, headers, payload) of one result stream. Returns what was seen: {"messages", "epochs", "zombies"}."""
    seen = collections.Counter()
    epoch, mark = 0, (0, 0)
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
            continue
        if prev != mark or upto < prev:
            raise StreamError(f"{name} {sequence}: it goes from {prev} to {upto}, and what was accepted ends at {mark}")
        epoch, mark = own_epoch, upto
    return seen


def check_job(cluster, job):
    """Every result stream of the job."""
    seen = collections.Counter()
    with nats_client.NatsClient(cluster.nats.url) as nats:
        for row in cluster.json("partitions", job):
            stream = f"mr-{job}-out-{row['partition']}"
            seen.update(check_stream(stream, nats.messages(stream)))
    return seen
