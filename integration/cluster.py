"""A cluster of real processes for tests: nats-server, coordinators, workers, each started and ended by pid on free ports."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

BIN = pathlib.Path(os.environ.get("MILLRACE_BIN", "build/debug/bin")).resolve()
NATS_SERVER = os.environ.get("MILLRACE_NATS_SERVER") or shutil.which("nats-server") or "/usr/sbin/nats-server"
WAIT_SECONDS = 120  # no condition that a test waits for takes longer, even on a slow machine under a sanitizer


def wait_for(condition, what, seconds=WAIT_SECONDS):
    """Polls until the condition holds and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def coordinator(*arguments, stdin=None, environment=None, timeout=WAIT_SECONDS):
    """A command of the coordinator, whatever becomes of it. Its standard input is `stdin`, or empty."""
    return subprocess.run([str(BIN / "coordinator"), *map(str, arguments)], capture_output=True, text=True, input=stdin or "",
                          timeout=timeout, env={**os.environ, **(environment or {})})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stage_metrics(address, prefix, stage):
    """What /metrics says of a stage, by name; nothing while the process does not listen yet, or has no partition of it."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
            page = answer.read().decode()
    except OSError:
        return {}
    found = re.findall(rf'^millrace_({prefix}\w+){{.*stage="{stage}".*}} (\S+)$', page, re.MULTILINE)
    return {name: float(value) for name, value in found}


class Process:
    """A child with its output in a file."""

    def __init__(self, arguments, log, environment=None):
        self.arguments = [str(a) for a in arguments]
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as output:
            self.child = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                          env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child.poll() is None

    def kill(self):
        if self.running():
            self.child.kill()
        self.child.wait()

    def signal(self, number):
        self.child.send_signal(number)

    def stop(self, seconds=30):
        if self.running():
            self.child.terminate()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.arguments[0]} did not stop on SIGTERM; its log: {self.log}")
        return self.child.returncode


class NatsServer:
    """One server with JetStream. Its port and its store stay the same over kill and start."""

    def __init__(self, folder, config=""):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "nats.conf"
        self.config.write_text(config)
        self.port = free_port()
        self.process = None
        self.start()

    @property
    def url(self):
        return f"nats://127.0.0.1:{self.port}"

    def start(self):
        self.process = Process([NATS_SERVER, "-a", "127.0.0.1", "-p", self.port, "-js", "-sd", self.folder / "store",
                                "-c", self.config],
                               self.folder / "nats.log")
        wait_for(self.answers, "nats-server accepts connections")

    def answers(self):
        if not self.process.running():
            raise AssertionError(f"nats-server ended: {self.process.log.read_text()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False

    def kill(self):
        self.process.kill()


class Cluster:
    """Use as a context manager; ends everything it began, and keeps its folder when the test failed (or MILLRACE_KEEP is set)."""

    def __init__(self, lease_ttl="2s", workers=(), nats_config="", coordinator_flags=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="millrace-test-"))
        self.lease_ttl = lease_ttl
        self.coordinator_flags = coordinator_flags
        self.workers = {}
        self.others = []
        self.failed = False
        self.nats = NatsServer(self.folder / "nats", nats_config)
        try:
            self.coordinator = self.start_coordinator()
            for name in workers:
                self.start_worker(name)
        except OSError:
            self.nats.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for process in [*self.workers.values(), *self.others, self.coordinator]:
            if process.running():
                process.signal(signal.SIGCONT)
            process.kill()
        self.nats.kill()
        failed = self.failed or kind is not None and not issubclass(kind, unittest.SkipTest)
        if not failed and "MILLRACE_KEEP" not in os.environ:
            shutil.rmtree(self.folder)
        else:
            print(f"\nlogs and states are kept in {self.folder}", flush=True)

    @contextlib.contextmanager
    def part(self, test, **parameters):
        """A subtest on this cluster, which keeps its folder when the subtest fails."""
        with test.subTest(**parameters):
            try:
                yield
            except unittest.SkipTest:
                raise
            except Exception:
                self.failed = True
                raise

    # --- processes

    def start_coordinator(self, environment=None):
        return Process([BIN / "coordinator", "serve", "--nats", self.nats.url, "--lease-ttl", self.lease_ttl,
                        "--http", "127.0.0.1:0", *self.coordinator_flags], self.folder / "coordinator.log", environment)

    def restart_coordinator(self):
        self.coordinator.kill()
        self.coordinator = self.start_coordinator()

    def start_worker(self, name, failpoint=None, defect=None, nats=None, flags=(), environment=None):
        environment = dict(environment or {})
        if failpoint:
            environment["MILLRACE_FAILPOINT"] = failpoint
        if defect:
            environment["MILLRACE_DEFECT"] = defect
        self.workers[name] = Process(
            [BIN / "worker", "--nats", nats or self.nats.url, "--name", name, "--data", self.folder / name, *flags],
            self.folder / f"{name}.log", environment)
        return self.workers[name]

    def kill_worker(self, name):
        self.workers[name].kill()

    def restart_worker(self, name, **options):
        self.workers[name].kill()
        return self.start_worker(name, **options)

    def wait_killed_by_itself(self, name, where, seconds=WAIT_SECONDS):
        """The worker reached the failpoint that it was started with. Nobody else has killed it."""
        worker = self.workers[name]
        wait_for(lambda: not worker.running(), f"worker {name} dies at {where}", seconds)
        if worker.child.returncode != -signal.SIGKILL:
            raise AssertionError(f"worker {name} did not die at {where}, it ended with {worker.child.returncode}: {worker.log}")

    # --- commands

    def try_run(self, *arguments, stdin=None, environment=None, timeout=WAIT_SECONDS):
        """A command of the coordinator that may fail; returns the completed process."""
        return coordinator(*arguments, stdin=stdin, timeout=timeout,
                           environment={"NATS_URL": self.nats.url, **(environment or {})})

    def run(self, *arguments, **options):
        """A command of the coordinator that must succeed; returns the completed process."""
        done = self.try_run(*arguments, **options)
        if done.returncode != 0:
            raise AssertionError(f"coordinator {' '.join(map(str, arguments))} exited with {done.returncode}: {done.stderr}")
        return done

    def start(self, *arguments, environment=None):
        """A command of the coordinator that runs beside the test."""
        process = Process([BIN / "coordinator", *arguments], self.folder / "commands.log",
                          {"NATS_URL": self.nats.url, **(environment or {})})
        self.others.append(process)
        return process

    def json(self, *arguments):
        return json.loads(self.run(*arguments, "-o", "json").stdout)

    def status(self, job):
        return self.json("status", job)

    def owners(self, job):
        """The owner of each partition, in order; "" for none."""
        return [row["owner"] for row in self.json("partitions", job)]

    def results(self, job, *flags):
        return [json.loads(line) for line in self.run("results", job, *flags, "-o", "jsonl").stdout.splitlines()]

    # --- conditions

    def wait_ready(self, *names):
        def ready():
            rows = {row["name"]: row for row in self.json("workers")}
            return all(name in rows and rows[name]["state"] == "ready" and rows[name]["pid"] == self.workers[name].pid
                       for name in names)
        return wait_for(ready, f"workers {', '.join(names)} are ready")

    def wait_state(self, job, state, seconds=WAIT_SECONDS):
        """Waits until the job is in that state; fails at once when it has ended in another."""
        def reached():
            status = self.status(job)
            if status["state"] != state and status["state"] in ("completed", "failed", "cancelled"):
                raise AssertionError(f"job {job} is {status['state']} ({status['reason']}), expected {state}")
            return status["state"] == state
        return wait_for(reached, f"job {job} is {state}", seconds)

    def wait_records(self, job, records, seconds=WAIT_SECONDS):
        """Of a job that a submit beside the test may not have made yet."""
        def took():
            there = job in (row["job"] for row in self.json("jobs"))
            return there and self.status(job)["records_in"] >= records
        return wait_for(took, f"job {job} took {records} records", seconds)

    def wait_owned(self, job, *workers):
        """Waits until each of the workers has partitions of the job."""
        return wait_for(lambda: set(workers) <= set(self.owners(job)), f"{', '.join(workers)} have partitions of {job}")

    def write(self, name, text):
        """A file of the test's own; returns its path."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path
