"""Flights under load: fed bit by bit from outside while pods come and go, and the answer, computed here."""

import collections
import json
import subprocess
import threading
import time

import release

FLIGHTS = (release.ROOT / "examples/data/flights.jsonl").read_bytes().splitlines(keepends=True)
JOB = (release.ROOT / "examples/running-totals/job.yaml").read_text()
JOB_FILE = "/etc/flights/job.yaml"
CHUNK = 200
MOST = 1_000_000


def volumes():
    """Values that put the job file where the coordinators see it."""
    return {
        "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flights"}, "data": {"job.yaml": JOB}}],
        "coordinator": {"extraVolumes": [{"name": "flights", "configMap": {"name": "flights"}}],
                        "extraVolumeMounts": [{"name": "flights", "mountPath": "/etc/flights"}]}}


class Load:
    """Feeds flights at `rate` a second until `finish`, at most `MOST`. A submit whose pod goes away is run again from the beginning, and goes on
    where it was."""

    def __init__(self, of, job, rate):
        self.release, self.job, self.rate = of, job, rate
        self.lines = [FLIGHTS[i % len(FLIGHTS)] for i in range(MOST)]
        self.fed = 0
        self.submits = 0
        self.failure = None
        self.over = False
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.over = True
        self.thread.join()

    def _run(self):
        try:
            ended = None
            while not self._submit():
                ended = ended or self.over and time.monotonic()
                if ended and time.monotonic() > ended + release.WAIT_SECONDS:
                    raise AssertionError("the flights were not fed")
        except Exception as error:  # told where the test waits
            self.failure = error

    def _submit(self):
        self.submits += 1
        command = self.release.coordinator_command("submit", JOB_FILE, "--name", self.job, "--input", "-", interactive=True)
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            for i in range(0, len(self.lines), CHUNK):
                if i >= self.fed:
                    if self.over:
                        break
                    time.sleep(CHUNK / self.rate)
                    self.fed = i + CHUNK
                child.stdin.write(b"".join(self.lines[i:i + CHUNK]))
                child.stdin.flush()
        except BrokenPipeError:
            print(f"submit {self.submits}: its pod went away", flush=True)
        said = child.communicate()[1].decode()
        code = child.returncode
        if code != 0:
            print(f"submit {self.submits} ended with {code}: {said.strip()[-300:]}", flush=True)
        return code == 0

    def wait_flowing(self):
        release.wait_for(lambda: self.failure or self.fed > 2000, "flights are fed")

    def finish(self):
        """What was fed so far is the input."""
        if self.fed >= MOST:
            raise AssertionError(f"{MOST} flights were too few: they ran out before it was done")
        self.over = True
        self.thread.join()
        if self.failure is not None:
            raise self.failure
        self.lines = self.lines[:self.fed]

    def check(self, case):
        """Every flight counted once, in its airport's order, and the logs run again say the same."""
        release.wait_for(lambda: self.release.json("status", self.job)["state"] == "completed", f"{self.job} completes")
        flights, delay, sequence, labels = (collections.Counter() for _ in range(4))
        for line in self.lines:
            flight = json.loads(line)
            flights[flight["origin"]] += 1
            delay[flight["origin"]] += flight["delay"]
        last = {}
        for line in self.release.coordinator("results", self.job, "-o", "jsonl").splitlines():
            record = json.loads(line)
            sequence[record["key"]] += 1
            case.assertEqual(record["value"]["flights"], sequence[record["key"]], "lost, doubled or swapped")
            labels[(record["partition"], record["offset"], record["index"])] += 1
            last[record["key"]] = record["value"]["total"]
        case.assertEqual(sequence, flights)
        case.assertEqual(last, dict(delay))
        case.assertEqual(max(labels.values()), 1)
        case.assertIn("differences   0", self.release.coordinator("verify", self.job))
        epochs = [row["epoch"] for row in self.release.json("partitions", self.job)]
        print(f"{self.job}: {len(self.lines)} flights in {self.submits} submits, {len(labels)} results, epochs up to {max(epochs)}", flush=True)
        return epochs
