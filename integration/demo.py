"""The demo: real flights, a running total for each airport, a worker killed with -9 half way, and the right answer.

Starts a whole cluster under a temporary folder and leaves nothing behind.
"""

import argparse
import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOB_FILE = ROOT / "examples/running-totals/job.yaml"
FLIGHTS = ROOT / "examples/data/flights.jsonl"
FEED_SECONDS = 6.0          # slow enough to watch; Millrace itself would take a fraction of a second
CHUNKS = 60
COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOURS else text


def say(text):
    print(f"\n{paint('1;36', '==')} {paint('1', text)}", flush=True)


def bar(done, total, note=""):
    if sys.stdout.isatty():
        filled = int(40 * done / total)
        print(f"\r  [{'#' * filled}{'.' * (40 - filled)}] {done:>6,} of {total:,} flights {note:<24}", end="", flush=True)


class Cluster:
    """`coordinator dev` with two workers."""

    def __init__(self, binaries, folder):
        self.coordinator = str(binaries / "coordinator")
        self.log = open(folder / "cluster.log", "wb")
        self.process = subprocess.Popen(
            [self.coordinator, "dev", "--workers", "2", "--data", str(folder / "data"), "--nats-port", "0",
             "--http", "127.0.0.1:0", "--json-ready"],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"demo: the cluster did not start:\n{(folder / 'cluster.log').read_text()}")
        self.ready = json.loads(line)

    def command(self, *arguments):
        return [self.coordinator, *arguments, "--nats", self.ready["nats"]]

    def ask(self, *arguments):
        answer = subprocess.run(self.command(*arguments), capture_output=True, text=True)
        if answer.returncode != 0:
            sys.exit(f"demo: coordinator {' '.join(arguments)} failed: {answer.stderr.strip()}")
        return answer.stdout

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def expected_totals(lines):
    """The answer, computed here and not by Millrace: flights and minutes of delay for each airport."""
    flights, delay = collections.Counter(), collections.Counter()
    for line in lines:
        flight = json.loads(line)
        flights[flight["origin"]] += 1
        delay[flight["origin"]] += flight["delay"]
    return {airport: (flights[airport], delay[airport]) for airport in flights}


def owners(cluster):
    return json.loads(cluster.ask("partitions", "running-totals", "-o", "json"))


def feed(cluster, lines, victim):
    """Feeds the flights through `submit`, and kills a worker when half of them are in. Answers who owned what before and after."""
    submit = subprocess.Popen(cluster.command("submit", str(JOB_FILE), "--input", "-"), stdin=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    size = -(-len(lines) // CHUNKS)
    before, note = [], ""
    for i in range(CHUNKS):
        submit.stdin.write(b"".join(lines[i * size:(i + 1) * size]))
        submit.stdin.flush()
        if i == CHUNKS // 2:
            before = owners(cluster)
            os.kill(victim["pid"], signal.SIGKILL)
            note = paint("1;31", f"kill -9 {victim['name']}")
        bar(min((i + 1) * size, len(lines)), len(lines), note)
        time.sleep(FEED_SECONDS / CHUNKS)
    after = owners(cluster)
    submit.stdin.close()
    if submit.wait() != 0:
        sys.exit(f"demo: submit failed: {submit.stderr.read().decode().strip()}")
    if sys.stdout.isatty():
        print()
    return before, after


def show_takeover(before, after, victim):
    lost = {row["partition"]: row for row in before if row["owner"] == victim["name"]}
    print(f"  {victim['name']} (pid {victim['pid']}) owned {len(lost)} of {len(before)} partitions when it was killed")
    now = {row["partition"]: row for row in after}
    raised = [p for p in lost if p in now and now[p]["epoch"] > lost[p]["epoch"]]
    if not raised:
        sys.exit("demo: no partition was taken over: the kill had no effect")
    print(f"  {len(raised)} of them were taken over, by another worker or by the same one started again: the epoch one higher, on from the last commit")
    for partition in raised[:4]:
        print(f"    partition {partition:>2}: epoch {lost[partition]['epoch']} -> {now[partition]['epoch']}, "
              f"owner {lost[partition]['owner']} -> {now[partition]['owner']}")


def wait_until_done(cluster, submit_again):
    """A second submit of the same input has nothing to feed; with --wait it waits for the job's end."""
    waited = subprocess.run(submit_again, stdin=open(FLIGHTS, "rb"), capture_output=True, text=True)
    if waited.returncode != 0:
        sys.exit(f"demo: the job did not complete: {waited.stderr.strip()}")


def check_results(cluster, expected, flights):
    latest, labels, sequence = {}, set(), collections.Counter()
    for line in cluster.ask("results", "running-totals", "-o", "jsonl").splitlines():
        record = json.loads(line)
        label = (record["partition"], record["offset"], record["index"])
        sequence[record["key"]] += 1
        if label in labels:
            sys.exit(f"demo: output {label} is there twice")
        if record["value"]["flights"] != sequence[record["key"]]:
            sys.exit(f"demo: output {label} of {record['key']} is out of order or missing one before it")
        labels.add(label)
        latest[record["key"]] = (record["value"]["flights"], record["value"]["total"])
    if latest != expected or len(labels) != flights:
        sys.exit("demo: WRONG: the totals differ from those computed beside")
    print(f"  {len(labels):,} outputs, every one once and in its key's order; {len(latest)} airports, every total as computed beside")
    for airport in sorted(expected, key=lambda a: -expected[a][0])[:5]:
        print(f"    {airport}  flights {latest[airport][0]:>5,}   minutes of delay {latest[airport][1]:>7,}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the executables")
    binaries = parser.parse_args().bin.resolve()
    began = time.monotonic()
    lines = FLIGHTS.read_bytes().splitlines(keepends=True)
    with tempfile.TemporaryDirectory(prefix="millrace-demo-") as folder:
        say("A cluster on this machine: nats-server, a coordinator, two workers")
        cluster = Cluster(binaries, pathlib.Path(folder))
        try:
            run(cluster, lines, began)
        finally:
            cluster.stop()
    say("Try next")
    print("  build/bin/coordinator dev                                       the same cluster, yours to keep")
    print("  build/bin/coordinator submit examples/worst-delays/job.yaml --input examples/data/flights.jsonl --wait")
    print("  build/bin/coordinator results worst-delays --latest             and: status, partitions, state get, verify")
    print("  README.md, \"A job of your own in five minutes\"")


def run(cluster, lines, began):
    for worker in cluster.ready["workers"]:
        print(f"  {worker['name']} (pid {worker['pid']})")
    say(f"The job: {JOB_FILE.relative_to(ROOT)}")
    job = JOB_FILE.read_text().split("\ntests:")[0]
    print("".join(f"  {line}\n" for line in job.splitlines()), end="")

    say(f"Feeding {len(lines):,} real flights; a worker dies half way")
    victim = cluster.ready["workers"][0]
    before, after = feed(cluster, lines, victim)

    say("The take-over")
    show_takeover(before, after, victim)
    wait_until_done(cluster, cluster.command("submit", str(JOB_FILE), "--input", "-", "--wait", "--timeout", "60s"))

    say("The answer, against one computed from the input by a few lines of Python")
    check_results(cluster, expected_totals(lines), len(lines))

    say("coordinator verify: every log run again from its first record")
    print("".join(f"  {line}\n" for line in cluster.ask("verify", "running-totals").splitlines()), end="")
    print(f"\n{paint('1;32', 'nothing lost, nothing doubled')} ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
