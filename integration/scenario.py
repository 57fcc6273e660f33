"""A ledger job on a cluster: what every scenario with faults begins and ends with.

Scale and seed come from the environment: MILLRACE_LEDGER_RECORDS (default 8000), MILLRACE_LEDGER_KEYS (500), MILLRACE_SEED (random).
"""

import os
import random

import feed
import ledger
import stream_check
from cluster import wait_for

RECORDS = int(os.environ.get("MILLRACE_LEDGER_RECORDS", "8000"))
KEYS = int(os.environ.get("MILLRACE_LEDGER_KEYS", "500"))
SEED = int(os.environ.get("MILLRACE_SEED") or random.SystemRandom().randrange(1 << 32))
PARTITIONS = 8


def announce(name):
    print(f"{name}: seed {SEED} (MILLRACE_SEED), {RECORDS} records over {KEYS} keys", flush=True)


class LedgerRun:
    """One job, its input, and the truth about it."""

    def __init__(self, cluster, kind, name="ledger", records=RECORDS, keys=KEYS, partitions=PARTITIONS, commit="50ms", retain="all", standby=0):
        self.cluster = cluster
        self.kind = kind
        self.name = name
        self.job_file = cluster.write(f"{name}.yaml", ledger.job_text(kind, name, partitions, commit) +
                                      f"retain: {retain}\nstandby: {standby}\n")
        self.input_file = cluster.folder / f"{name}.jsonl"
        self.counts = ledger.write_input(self.input_file, records, keys, SEED, kind)
        self.lines = self.input_file.read_text().splitlines(keepends=True)
        self.records = records
        self.feed = None

    def begin(self):
        """Starts feeding by hand."""
        self.feed = feed.Feed(self.cluster, self.job_file, self.lines)
        self.feed.write(1)  # a pipe's first line is read before the job is made
        wait_for(lambda: self.cluster.try_run("status", self.name).returncode == 0, f"job {self.name} is there")
        return self.feed

    def share(self, part):
        """That part of the records, in chunks."""
        self.feed.write(int(self.records * part))

    def wait_running(self):
        """Every partition is open: what is fed from here on comes as it is fed, not as one backlog. Or all workers died of it."""
        wait_for(lambda: not any(worker.running() for worker in self.cluster.workers.values()) or
                 all(row["state"] == "running" for row in self.cluster.json("partitions", self.name)), "all partitions run")

    def feed_until_killed(self, name, point):
        """Feeds until the worker dies at the failpoint, at most three quarters of the records."""
        while self.cluster.workers[name].running() and self.feed.written < self.records * 3 // 4:
            self.share(0.05)
        self.cluster.wait_killed_by_itself(name, point)

    def outputs_so_far(self):
        return self.cluster.status(self.name)["records_out"]

    def check(self, logs=True):
        """After the end: every result, every label, every state; the streams' own order; and the replay of the logs."""
        outputs = ledger.check_results(self.cluster.run("results", self.name, "-o", "jsonl").stdout.splitlines(), self.counts, self.kind)
        if logs:
            stream_check.check_job(self.cluster, self.name)
            self.cluster.run("verify", self.name)
        return outputs

    def finish_and_check(self):
        if self.feed is not None:
            self.feed.finish()
        self.cluster.wait_state(self.name, "completed")
        return self.check()
