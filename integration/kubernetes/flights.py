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


def volumes():
    """Values that put the job file where the coordinators see it."""
    return {
        "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flights"}, "data": {"job.yaml": JOB}}],
        "coordinator": {"extraVolumes": [{"name": "flights", "configMap": {"name": "flights"}}],
                        "extraVolumeMounts": [{"name": "flights", "mountPath": "/etc/flights"}]}}


class Load:
    """Feeds `records` flights at `rate` a second. A submit whose pod goes away is run again from the beginning, and goes on where it was."""

    def __init__(self, of, job, records, rate):
        self.release, self.job, self.rate = of, job, rate
        self.lines = [FLIGHTS[i % len(FLIGHTS)] for i in range(records)]
        self.fed = 0
        self.submits = 0
        self.failure = None
        self.stop_pacing = False
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop_pacing = True
        self.thread.join()

    def _run(self):
        deadline = time.monotonic() + 900
        try:
            while not self._submit():
                if time.monotonic() > deadline:
                    raise AssertionError("the flights were not fed")
        except Exception as error:  # told where the test waits
            self.failure = error

    def _submit(self):
        self.submits += 1
        command = self.release.coordinator_command("submit", JOB_FILE, "--name", self.job, "--input", "-", interactive=True)
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            for i in range(0, len(self.lines), CHUNK):
                child.stdin.write(b"".join(self.lines[i:i + CHUNK]))
                child.stdin.flush()
                if i + CHUNK > self.fed:
                    self.fed = min(i + CHUNK, len(self.lines))
                    if not self.stop_pacing:
                        time.sleep(CHUNK / self.rate)
        except BrokenPipeError:
            print(f"submit {self.submits}: its pod went away", flush=True)
        said = child.communicate()[1].decode()
        code = child.returncode
        if code != 0:
            print(f"submit {self.submits} ended with {code}: {said.strip()[-300:]}", flush=True)
        return code == 0

    def wait(self):
        self.thread.join()
        if self.failure is not None:
            raise self.failure

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
