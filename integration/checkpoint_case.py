"""What tests of checkpoints share: places to keep them, and a ledger job on workers that use one."""

import os
import pathlib
import shutil
import socket
import subprocess
import unittest

import scenario
from cluster import Process, free_port, wait_for

INTERVAL = "200ms"
RESTORED, PASSED_OVER = "checkpoint restored", "a checkpoint cannot be used"


class Directory:
    """A folder that all workers see."""

    kind = "directory"
    environment = {}

    def __init__(self, cluster):
        self.path = cluster.folder / "checkpoints"
        self.url = f"file://{self.path}"

    def manifests(self, partition=None):
        """Paths, the newest of each partition last."""
        return sorted(self.path.glob(f"*/0-{'*' if partition is None else partition}/manifests/*.json"))

    def stop(self):
        pass


class S3:
    """The real versitygw over a folder of the test's own."""

    kind = "s3"

    def __init__(self, cluster):
        program = os.environ.get("MILLRACE_S3_SERVER") or shutil.which("versitygw")
        if not program:
            raise unittest.SkipTest("NOT TESTED: there is no S3 server here (MILLRACE_S3_SERVER; ./run test installs one where there is Go)")
        self.environment = {"AWS_ACCESS_KEY_ID": "millrace-test", "AWS_SECRET_ACCESS_KEY": "millrace-secret"}
        self.folder = cluster.folder / "s3"
        (self.folder / "store" / "checkpoints").mkdir(parents=True)
        (self.folder / "meta").mkdir()
        self.port = free_port()
        self.program = program
        self.url = f"s3://checkpoints/some/prefix?endpoint=http://127.0.0.1:{self.port}"
        self.cluster = cluster
        self.start()

    def start(self):
        self.process = Process([self.program, "--port", f"127.0.0.1:{self.port}", "--access", "millrace-test", "--secret",
                                "millrace-secret", "--quiet", "posix", "--sidecar", self.folder / "meta", self.folder / "store"],
                               self.folder / "s3.log")
        self.cluster.others.append(self.process)
        wait_for(self.answers, "the S3 server answers")

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.kill()


class Objects:
    """A JetStream object store on the cluster's own NATS."""

    kind = "objects"
    environment = {}

    def __init__(self, cluster):
        self.url = "objects:checkpoints"

    def stop(self):
        pass


STORES = (Directory, S3, Objects)


class CheckpointRun(scenario.LedgerRun):
    """A ledger job whose workers keep checkpoints in a store."""

    def __init__(self, cluster, store, kind="native", name="ledger", flags=(), **options):
        super().__init__(cluster, kind, name, **options)
        self.store = store
        self.flags = ["--checkpoints", store.url, "--checkpoint-interval", INTERVAL, *flags]

    def start_worker(self, name, **options):
        return self.cluster.start_worker(name, flags=self.flags, environment=self.store.environment, **options)

    def begin_with_worker(self, name):
        """The job runs on this worker."""
        self.start_worker(name)
        self.begin()
        self.wait_running()

    def store_share(self, share):
        """So much of the records is fed, and in checkpoints. Returns their offsets."""
        self.share(share)
        return self.wait_checkpoints()

    def rows(self):
        return self.cluster.json("partitions", self.name)

    def wait_checkpoints(self):
        """Everything fed so far is in a checkpoint of its partition. Returns the offsets."""
        self.cluster.wait_records(self.name, self.feed.written)

        def stored():
            rows = self.rows()
            return all(row["checkpoint_offset"] == row["committed_offset"] == row["end"] > 0 for row in rows) and rows
        return [row["checkpoint_offset"] for row in wait_for(stored, "every partition has a checkpoint of all that was fed")]

    def said(self, worker, what):
        """How often the worker's log has the line."""
        return pathlib.Path(self.cluster.workers[worker].log).read_text().count(what)

    def wait_opened(self, name):
        """The worker has opened every partition. What `partitions` shows may still be what the last owner said."""
        partitions = len(self.rows())
        wait_for(lambda: self.said(name, "partition opened") >= partitions, f"{name} opens every partition")

    def lose(self, name):
        """The worker is killed, and its data folder with it; the leader has noticed."""
        self.cluster.kill_worker(name)
        shutil.rmtree(self.cluster.folder / name)
        wait_for(lambda: all(row["owner"] != name for row in self.rows()), f"{name} owns nothing")


def build_go(folder, module):
    """A Go program of this folder, built; None where there is no Go, or no way to get what it needs."""
    go = shutil.which("go") or next((path for path in ["/usr/local/go/bin/go"] if os.path.exists(path)), None)
    if not go:
        return None
    source = pathlib.Path(__file__).resolve().parent / module
    built = folder / module
    done = subprocess.run([go, "build", "-mod=mod", "-o", str(built), "."], cwd=shutil.copytree(source, folder / f"{module}-source"),
                          capture_output=True, text=True, timeout=600)
    return built if done.returncode == 0 else None
