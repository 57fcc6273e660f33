"""How long partitions stand still when they change owners, by the broker's clock.

    ./run bench owners [--keys 1000000] [--rounds 10] [--lease 2s]

Three ways, each on a cluster of its own with a job of running totals, sixteen partitions, and records that flow all the time: the only
worker is killed and started again on its data folder; one of two is killed for good, and the other takes over from checkpoints; one of
two is drained, and undrained. A change of owner counts from the last result of the old owner to the first of the new.
"""

import argparse
import contextlib
import itertools
import math
import pathlib
import sys
import threading
import time

import bench_runs
import cluster
import handover
import nats_client
from bench_runs import JOB, PARTITIONS

RECORDS_PER_PARTITION_S = 50  # what is measured is no finer than the time between two
SETTLED_SECONDS = 3  # what the change before has stirred up is over
FLOWS_SECONDS = 1  # before each change
CLOCKS_DIFFER_SECONDS = 0.5  # between two results of a partition at most, and what clocks differ by


def partition_of(key):
    """FNV-1a, 32 bits, modulo."""
    value = 2166136261
    for byte in key.encode():
        value = (value ^ byte) * 16777619 % 2**32
    return value % PARTITIONS


def a_key_of_each():
    keys = {}
    for number in itertools.count():
        keys.setdefault(partition_of(f"flow-{number}"), f"flow-{number}")
        if len(keys) == PARTITIONS:
            return keys


@contextlib.contextmanager
def flowing(url):
    """Records for every partition, evenly, until the body ends."""
    stop = threading.Event()
    keys = a_key_of_each()

    def publish():
        with nats_client.NatsClient(url) as nats:
            due = time.monotonic()
            for number in itertools.count():
                for partition in range(PARTITIONS):
                    nats.publish(f"mr.{JOB}.0.{partition}", b'{"k":"%s","v":%d}' % (keys[partition].encode(), number))
                due += 1 / RECORDS_PER_PARTITION_S
                if stop.wait(max(0, due - time.monotonic())):
                    return
    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Owners:
    def __init__(self, options, workers, flags=()):
        self.options = options
        self.names = iter(f"w{n}" for n in itertools.count(1))
        self.first = workers
        self.flags = flags

    def __enter__(self):
        self.bench = bench_runs.Bench(lease_ttl=self.options.lease)
        self.bench.__enter__()
        self.flags = [str(flag).format(folder=self.bench.cluster.folder) for flag in self.flags]
        self.bench.fill(self.options.keys, self.options.keys, "--open")
        self.alive = [self.start() for _ in range(self.first)]
        self.bench.tool("watch", "--job", JOB, "--partitions", PARTITIONS, "--until", "records", "--records", self.options.keys)
        self.settle()
        return self

    def __exit__(self, *error):
        self.bench.__exit__(*error)

    def start(self):
        name = next(self.names)
        self.bench.cluster.start_worker(name, flags=self.flags)
        return name

    def rows(self):
        return self.bench.cluster.json("partitions", JOB)

    def settle(self):
        """Waits until the workers own as many partitions each, all run, and what is committed is in a checkpoint where those are made."""
        def settled():
            rows = self.rows()
            shares = [sum(row["owner"] == name for row in rows) for name in self.alive]
            return (sum(shares) == PARTITIONS and max(shares) - min(shares) <= 1 and all(row["state"] == "running" for row in rows)
                    and (not self.flags or all(row["checkpoint_offset"] > 0 for row in rows)))
        cluster.wait_for(settled, "the partitions are spread", bench_runs.PATIENCE_SECONDS)
        time.sleep(SETTLED_SECONDS)

    def owned_by(self, names):
        return all(row["owner"] in names and row["state"] == "running" for row in self.rows())

    def measured(self, change, afterwards):
        """The standstills that begin while `change` runs, and the state that was there."""
        windows = []
        with flowing(self.bench.cluster.nats.url):
            for _ in range(self.options.rounds):
                time.sleep(FLOWS_SECONDS)
                began = time.time()
                change(self)
                windows.append((began - CLOCKS_DIFFER_SECONDS, time.time()))
                afterwards(self)
                self.settle()
        state = self.rows()
        found = [seconds for at, seconds in handover.changes(self.bench.cluster, JOB) if any(a <= at <= b for a, b in windows)]
        return found, sum(row["state_keys"] for row in state), sum(row["state_bytes"] for row in state)


def restart(owners):
    before = {row["partition"]: row["epoch"] for row in owners.rows()}
    owners.bench.cluster.kill_worker(owners.alive[0])
    owners.bench.cluster.start_worker(owners.alive[0], flags=owners.flags)
    cluster.wait_for(lambda: all(row["epoch"] > before[row["partition"]] and row["state"] == "running" for row in owners.rows()),
                     "it has them all again", bench_runs.PATIENCE_SECONDS)


def take_over(owners):
    owners.bench.cluster.kill_worker(owners.alive.pop(0))
    cluster.wait_for(lambda: owners.owned_by(owners.alive), "the other has them all", bench_runs.PATIENCE_SECONDS)


def bring_another(owners):
    """With an empty disk: the next to take over finds nothing there."""
    owners.alive.append(owners.start())


def drain(owners):
    owners.bench.cluster.run("drain", owners.alive[0])
    cluster.wait_for(lambda: owners.owned_by(owners.alive[1:]), "it is drained", bench_runs.PATIENCE_SECONDS)


def undrain(owners):
    owners.bench.cluster.run("drain", owners.alive[0], "--undo")


def nothing(_):
    pass


CHECKPOINTS = ("--checkpoints", "{folder}/checkpoints", "--checkpoint-interval", "2s")
WAYS = {"killed, started again": (1, (), restart, nothing), "killed, another takes over": (2, CHECKPOINTS, take_over, bring_another),
        "drained": (2, CHECKPOINTS, drain, undrain)}


def at(share, ordered):
    return ordered[min(len(ordered), max(1, math.ceil(share * len(ordered)))) - 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--keys", type=int, default=1_000_000, help="of the job's state (default: 1000000)")
    parser.add_argument("--rounds", type=int, default=10, help="of each way (default: 10)")
    parser.add_argument("--lease", default="2s", help="default: 2s")
    parser.add_argument("--only", nargs="*", default=[], help="of " + ", ".join(f'"{way}"' for way in WAYS))
    options = parser.parse_args()
    cluster.BIN = options.bin.resolve()
    print(f"lease {options.lease}, {PARTITIONS} partitions, {RECORDS_PER_PARTITION_S} records a second in each")
    print(f"{'worker':28} {'changes':>8} {'median':>9} {'p99':>9} {'most':>9} {'keys':>10} {'state':>9}")
    for way, (workers, flags, change, afterwards) in WAYS.items():
        if options.only and way not in options.only:
            continue
        with Owners(options, workers, flags) as owners:
            found, keys, size = owners.measured(change, afterwards)
        if not found:
            sys.exit(f"{way}: no partition changed its owner")
        found.sort()
        print(f"{way:28} {len(found):8} {at(0.5, found):7.2f} s {at(0.99, found):7.2f} s {found[-1]:7.2f} s {keys:10} {size / 2**20:5.0f} MiB",
              flush=True)


if __name__ == "__main__":
    main()
