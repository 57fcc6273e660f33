"""How long partitions stood still when they changed owners, by the broker's clock."""

import datetime

import nats_client


def _seconds(stored):
    """The server's time has nine digits behind the point, Python's six."""
    return datetime.datetime.fromisoformat(stored["time"].rstrip("Z")[:26] + "+00:00").timestamp()


def changes(cluster, job):
    """Of each change of owner that results surround: when the old owner's last result came, and the seconds from it to the first of the
    new. While records flow, that is how long the partition did nothing, and at least the time between two results."""
    found = []
    rows = cluster.json("partitions", job)
    last = max(row["segment"] for row in rows)
    with nats_client.NatsClient(cluster.nats.url) as nats:
        for partition in (row["partition"] for row in rows if row["segment"] == last):
            stream, epoch, before = f"mr-{job}-out-{partition}", 0, None
            for sequence in range(1, nats.last_sequence(stream) + 1):
                stored = nats.stored(stream, sequence)
                _, kind, _, _, own_epoch, *_ = nats.headers_of(stored)["Millrace"].split(" ")
                if kind != "r" or int(own_epoch) < epoch:
                    continue
                now = _seconds(stored)
                if before is not None and int(own_epoch) > epoch:
                    found.append((before, now - before))
                epoch, before = int(own_epoch), now
    return found


def standstills(cluster, job):
    return [seconds for _, seconds in changes(cluster, job)]


def table(seconds):
    """One line for people."""
    if not seconds:
        return "no partition changed its owner"
    ordered = sorted(seconds)
    return f"{len(ordered)} changes of owner: stood still for {ordered[len(ordered) // 2]:.3f} s (median), {ordered[-1]:.3f} s (most)"
