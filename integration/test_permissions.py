"""Users of NATS with the permissions that `coordinator nats-permissions` prints: each command does its work as its role, and each
role is refused everything else."""

import json
import socket
import unittest

from cluster import BIN, Cluster, Process, coordinator, wait_for
from nats_client import NatsClient

ROLES = ("coordinator", "worker", "submitter", "reader")
PASSWORD = "for-the-test-alone"
BUCKET = "permission-checkpoints"
RECORDS = 3000

JOB = """\
name: guarded
source: {format: jsonl}
key: k
partitions: 2
stages:
  - filter: 'r.bad and error("a bad record") or true'
  - aggregate: {n: count(), last: last(seq)}
  - key_by: {lua: 'tostring(r.n % 3)'}
    partitions: 2
  - keyed: {lua: 'state.seen = (state.seen or 0) + 1; emit({seen = state.seen})'}
commit: {interval: 50ms}
"""
SOURCE = """\
name: forever
source: {format: jsonl, stream: EVENTS}
key: k
partitions: 2
stages:
  - aggregate: {n: count()}
sink: {stream: DONE, subject: done.all}
"""


def permissions(*arguments):
    done = coordinator("nats-permissions", *arguments)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def server_config():
    users = ", ".join(f"{{user: {role}, password: {PASSWORD}, permissions: $MILLRACE_{role.upper()}}}" for role in ROLES)
    printed = permissions("--checkpoints-bucket", BUCKET, "--sink-subject", "done.>")
    return f"{printed}\nauthorization {{ users: [{users}, {{user: admin, password: {PASSWORD}}}] }}\n"


class GuardedCluster(Cluster):
    """Everybody connects as a user of their own."""

    def url(self, role):
        return f"nats://{role}:{PASSWORD}@127.0.0.1:{self.nats.port}"

    def access(self, role):
        return {"NATS_URL": self.url(role), "MILLRACE_INBOX_PREFIX": f"_INBOX_{role}"}

    def start_coordinator(self, environment=None):
        return Process([BIN / "coordinator", "serve", "--lease-ttl", self.lease_ttl, "--http", "127.0.0.1:0"],
                       self.folder / "coordinator.log", {**self.access("coordinator"), **(environment or {})})

    def start_worker(self, name, **options):
        return super().start_worker(name, nats=self.url("worker"), environment=self.access("worker"),
                                    flags=["--checkpoints", f"objects:{BUCKET}", "--checkpoint-interval", "200ms"], **options)

    def try_run(self, *arguments, role="submitter", **options):
        return super().try_run(*arguments, environment=self.access(role), **options)

    def read(self, *arguments):
        return self.run(*arguments, role="reader").stdout

    def complaints(self):
        """What the server refused, and whom."""
        return [line for line in (self.folder / "nats" / "nats.log").read_text().splitlines() if "Violation" in line]


class User:
    """What the server says to a subject that a user publishes or subscribes to."""

    def __init__(self, cluster, role):
        self.socket = socket.create_connection(("127.0.0.1", cluster.nats.port), timeout=10)
        self.lines = self.socket.makefile("rb")
        self.lines.readline()  # INFO
        options = {"verbose": False, "pedantic": False, "user": role, "pass": PASSWORD, "lang": "python", "version": "1"}
        self.socket.sendall(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        self.sid = 0

    def close(self):
        self.lines.close()
        self.socket.close()

    def refused(self, command):
        self.socket.sendall(command + b"PING\r\n")
        violated = False
        while True:
            line = self.lines.readline()
            if line.startswith(b"PONG"):
                return violated
            if line.startswith(b"-ERR"):
                if b"Permissions Violation" not in line:
                    raise AssertionError(line)
                violated = True
            elif not line:
                raise AssertionError("the server hung up")

    def may_publish(self, subject):
        return not self.refused(f"PUB {subject} 0\r\n\r\n".encode())

    def may_subscribe(self, subject):
        self.sid += 1
        return not self.refused(f"SUB {subject} {self.sid}\r\n".encode())


class PermissionsTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(GuardedCluster(nats_config=server_config()))

    def admin(self):
        return self.enterContext(NatsClient(self.cluster.url("admin")))

    def test_every_command_does_its_work_as_its_role(self):
        cluster = self.cluster
        for name in ("w1", "w2"):
            cluster.start_worker(name)
        lines = [json.dumps({"k": f"key-{i % 7}", "seq": i, **({"bad": True} if i == 1000 else {})}) for i in range(RECORDS)]
        records = cluster.write("records.jsonl", "\n".join(lines) + "\n")
        job_file = cluster.write("guarded.yaml", JOB)
        cluster.run("submit", job_file, "--input", records, "--wait")
        self.assertEqual(len(cluster.read("results", "guarded", "-o", "jsonl").splitlines()), RECORDS - 1)
        for looks in (["jobs"], ["status", "guarded"], ["partitions", "guarded"], ["workers"], ["state", "scan", "guarded"],
                      ["dead-letters", "list", "guarded"], ["verify", "guarded"]):
            with self.subTest(command=looks):
                cluster.read(*looks)
        self.assert_source_and_sink()
        self.assert_changes()
        wait_for(lambda: any("OBJ_" in name for name in self.admin().api("STREAM.NAMES")["streams"]), "checkpoints are stored")
        self.assertEqual(cluster.complaints(), [])
        for log in ("coordinator.log", "w1.log", "w2.log"):
            text = (cluster.folder / log).read_text()
            self.assertNotIn("NATS complains", text)
            self.assertNotIn(PASSWORD, text)

    def assert_source_and_sink(self):
        """A coordinator reads a stream for ever, and publishes to another."""
        admin = self.admin()
        admin.api("STREAM.CREATE.EVENTS", {"name": "EVENTS", "subjects": ["events.>"]})
        admin.api("STREAM.CREATE.DONE", {"name": "DONE", "subjects": ["done.>"]})
        for i in range(10):
            admin.publish("events.a", json.dumps({"k": f"key-{i % 2}"}).encode())
        self.cluster.run("submit", self.cluster.write("forever.yaml", SOURCE))
        wait_for(lambda: admin.api("STREAM.INFO.DONE")["state"]["messages"] == 10, "all results are published")

    def assert_changes(self):
        cluster = self.cluster
        cluster.run("pause", "forever")
        cluster.run("resume", "forever")
        letters = json.loads(cluster.read("dead-letters", "list", "guarded", "-o", "json"))
        self.assertEqual(len(letters), 1)
        cluster.run("copy", "guarded", "wider", "--partitions", "3")
        cluster.run("dead-letters", "purge", "guarded", "--yes")
        forever = cluster.write("forever-2.yaml", SOURCE.replace("stages:\n", "stages:\n  - filter: 'true'\n"))
        cluster.run("update", forever)
        cluster.run("drain", "w2")
        cluster.run("drain", "w2", "--undo")
        cluster.run("cancel", "forever")
        for job in ("forever", "wider", "guarded"):
            cluster.run("delete", job, "--yes")

    def test_each_role_is_refused_everything_else(self):
        ours = {
            "$KV.mr-jobs.job.x": {"submitter"},
            "$KV.mr-assignments.assign.1.1": {"coordinator", "submitter"},
            "$KV.mr-epochs.uid.in.1": {"coordinator", "worker", "submitter"},
            "$KV.mr-workers.w.w1": {"worker"},
            "$KV.mr-workers.c.c1": {"coordinator"},
            "mr.x.0.0": {"coordinator", "worker", "submitter"},
            "mr.x.out.0": {"coordinator", "worker", "submitter"},
            "mr.x.0.0.v": {"coordinator", "worker", "submitter"},
            "mr.x.dead.0.0": {"coordinator", "worker", "submitter"},
            "mr.rpc.abc": {"coordinator", "submitter", "reader"},
            f"$O.{BUCKET}.C.x": {"worker"},
            "$O.other.C.x": set(),
            "done.all": {"coordinator"},
            "orders.new": set(),
            "_INBOX.x": set(),
            "_INBOX_reader.x": set(),
            "$SYS.REQ.SERVER.PING": set(),
            "$JS.API.INFO": set(ROLES),
            "$JS.API.STREAM.INFO.mr-x-0-0": set(ROLES),
            "$JS.API.STREAM.CREATE.KV_mr-jobs": {"coordinator", "worker", "submitter"},
            "$JS.API.STREAM.CREATE.mr-x-0-0": {"submitter"},
            f"$JS.API.STREAM.CREATE.OBJ_{BUCKET}": {"worker", "submitter"},
            "$JS.API.STREAM.DELETE.mr-x-0-0": {"submitter"},
            "$JS.API.STREAM.PURGE.mr-x-0-0": {"coordinator", "worker", "submitter"},
            "$JS.API.STREAM.MSG.DELETE.mr-x-0-0": set(),
            "$JS.API.STREAM.SNAPSHOT.mr-x-0-0": set(),
            "$JS.API.STREAM.RESTORE.mr-x-0-0": set(),
            "$JS.API.STREAM.LEADER.STEPDOWN.mr-x-0-0": set(),
            "$JS.API.CONSUMER.DURABLE.CREATE.mr-x-0-0.c": set(),
        }
        listens = {"_INBOX.>": set(), "mr.>": set(), ">": set(), "$KV.>": set(), "$JS.>": set(), "mr.rpc.abc": {"worker"},
                   **{f"_INBOX_{role}.>": {role} for role in ROLES}}
        for role in ROLES:
            user = User(self.cluster, role)
            self.addCleanup(user.close)
            for subject, allowed in ours.items():
                with self.subTest(role=role, publishes=subject):
                    self.assertEqual(user.may_publish(subject), role in allowed)
            for subject, allowed in listens.items():
                with self.subTest(role=role, subscribes=subject):
                    self.assertEqual(user.may_subscribe(subject), role in allowed)

    def test_a_reader_that_would_change_something_is_told_so(self):
        done = self.cluster.try_run("submit", self.cluster.write("guarded.yaml", JOB), "--input", "-", stdin="{}\n", role="reader")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ermission", done.stderr)


if __name__ == "__main__":
    unittest.main()
