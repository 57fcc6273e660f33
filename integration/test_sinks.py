"""Results brought out to a file or a stream: each once and in order, whoever dies; and what is said where that cannot be."""

import collections
import json
import pathlib
import signal
import unittest

import scenario
from cluster import Cluster, wait_for
from command_case import TIMED_OUT, USAGE, assert_one_line
from nats_client import NatsClient

JOB = """name: totals
source: {{ {source} }}
key: user
partitions: 4
stages:
  - map: {{ user: r.user, x: r.x, pad: 'string.rep("x", 500)' }}
  - aggregate: {{ n: count(), total: sum(x), pad: last(pad) }}
sink: {{ {sink} }}
"""
RECORDS = 5000
USERS = 37
# In the order in which a sink that is begun comes to them.
POINTS = ("sink_before_first_note:1", "sink_before_claim:1", "sink_after_write:1", "sink_after_sync:1", "sink_before_rename:1",
          "sink_after_note:1", "sink_between_parts:1")
ENDS = ("sink_before_done:1", "sink_before_end:1")


def setUpModule():
    scenario.announce("sinks")


def by_partition(lines):
    rows = collections.defaultdict(list)
    for line in lines:
        rows[json.loads(line)["partition"]].append(line)
    return rows


def by_key(lines):
    rows = collections.defaultdict(list)
    for line in lines:
        rows[json.loads(line)["key"]].append(line)
    return rows


class Sinks(unittest.TestCase):
    def publish(self, client, first, last):
        for i in range(first, last):
            client.publish("clicks.page", json.dumps({"user": f"u{i % USERS}", "x": i}).encode())

    def lines(self, first, last):
        return "".join(json.dumps({"user": f"u{i % USERS}", "x": i}) + "\n" for i in range(first, last))

    def wait_out(self, cluster, records):
        wait_for(lambda: (s := cluster.status("totals"))["sink"] and s["sink"]["records"] >= records, f"{records} results are out")

    def expect_same(self, cluster, paths, records):
        """The files' lines are those of `results`, each once, and in order for each partition."""
        out = [line for path in paths for line in path.read_text().splitlines()]
        self.assertEqual(len(out), records)
        results = cluster.run("results", "totals", "-o", "jsonl").stdout.splitlines()
        self.assertEqual(by_partition(out), by_partition(results))

    def die_at(self, cluster, point, feed=lambda: None):
        """A coordinator that leads until it dies there by itself."""
        cluster.coordinator.kill()
        cluster.coordinator = cluster.start_coordinator({"MILLRACE_FAILPOINT": point})
        feed()
        wait_for(lambda: not cluster.coordinator.running(), f"the coordinator dies at {point}")
        self.assertEqual(cluster.coordinator.child.returncode, -signal.SIGKILL, point)

    def test_a_file_while_the_coordinator_dies_at_every_point(self):
        with Cluster(workers=["w1", "w2"]) as cluster, NatsClient(cluster.nats.url) as client:
            path = cluster.folder / "out.jsonl"
            job = cluster.write("job.yaml", JOB.format(source="subject: 'clicks.>'", sink=f"file: {{ path: {path}, rotate: 1MiB }}"))
            cluster.run("submit", job)
            share = RECORDS // (len(POINTS) + 1)
            for part, point in enumerate(POINTS):
                self.die_at(cluster, point, lambda: self.publish(client, part * share, (part + 1) * share))
                if part % 3 == 2:
                    cluster.restart_worker("w1")
            cluster.restart_coordinator()
            self.publish(client, len(POINTS) * share, RECORDS)
            self.wait_out(cluster, RECORDS)
            parts = sorted(cluster.folder.glob("out-*.jsonl"))
            self.assertGreater(len(parts), 1)
            for full in parts[:-1]:
                self.assertGreaterEqual(full.stat().st_size, 1 << 20)
            self.expect_same(cluster, parts, RECORDS)
            self.assertEqual(cluster.status("totals")["sink"]["lag_records"], 0)
            for point in ENDS:
                cluster.coordinator.kill()
                cluster.coordinator = cluster.start_coordinator({"MILLRACE_FAILPOINT": point})
                if point == ENDS[0]:
                    cluster.run("cancel", "totals")
                wait_for(lambda: not cluster.coordinator.running(), f"the coordinator dies at {point}")
            cluster.restart_coordinator()
            self.assertTrue(cluster.status("totals")["sink"]["done"])
            self.expect_same(cluster, parts, RECORDS)

    def test_submit_waits_until_the_file_is_whole(self):
        with Cluster(workers=["w1"]) as cluster:
            path = cluster.folder / "out.jsonl"
            job = cluster.write("job.yaml", JOB.format(source="format: jsonl", sink=f"file: {path}"))
            data = cluster.write("in.jsonl", self.lines(0, RECORDS))
            for _ in range(2):
                done = cluster.run("submit", job, "--input", data, "--wait")
                self.assertIn(f"{RECORDS} results are out, in file {path}", done.stderr)
            self.expect_same(cluster, [path], RECORDS)
            cluster.run("verify", "totals")
            status = cluster.status("totals")
            self.assertEqual((status["sink"]["records"], status["sink"]["done"], status["sink"]["trouble"]), (RECORDS, True, ""))
            self.assertIn(f", records {RECORDS}, lag_records 0, done true\n", cluster.run("status", "totals").stdout)
            self.assertEqual(list(cluster.folder.glob("*.millrace*")), [])

            second = cluster.try_run("submit", job, "--name", "second", "--input", data, "--wait", "--timeout", "10s")
            self.assertEqual(second.returncode, TIMED_OUT)
            self.assertIn("is there already, and not empty", second.stderr)
            self.assertIn("is there already, and not empty", cluster.status("second")["reason"])
            path.rename(cluster.folder / "kept.jsonl")
            cluster.run("submit", job, "--name", "second", "--input", data, "--wait")
            for name in ("totals", "second"):
                cluster.run("delete", name, "--yes")
            self.assertEqual(len(path.read_text().splitlines()), RECORDS, "the file is the user's")
            with NatsClient(cluster.nats.url) as client:
                state = client.api("STREAM.INFO.KV_mr-assignments", {"subjects_filter": "$KV.mr-assignments.sink.>"})["state"]
                for key in state.get("subjects") or {}:
                    message = client.api("STREAM.MSG.GET.KV_mr-assignments", {"last_by_subj": key})["message"]
                    self.assertNotIn("data", message, f"{key} was deleted")

    def test_a_stream_while_the_coordinator_dies_at_every_point(self):
        with Cluster(workers=["w1", "w2"]) as cluster, NatsClient(cluster.nats.url) as client:
            cluster.run("submit", cluster.write("job.yaml", JOB.format(source="subject: 'clicks.>'", sink="subject: totals.out")))
            wait_for(lambda: "no stream holds subject totals.out" in cluster.status("totals")["reason"], "status says what is missing")
            client.api("STREAM.CREATE.TOTALS", {"name": "TOTALS", "subjects": ["totals.*"], "storage": "file"})
            share = RECORDS // 6
            for part, point in enumerate(("sink_after_acks:1", "sink_after_position:1", "sink_after_acks:1", "sink_after_position:1")):
                self.die_at(cluster, point, lambda: self.publish(client, part * share, (part + 1) * share))
                cluster.restart_worker("w1")
            cluster.restart_coordinator()
            self.publish(client, 4 * share, 5 * share)
            self.wait_out(cluster, 5 * share)
            cluster.nats.kill()
            cluster.nats.start()
            with NatsClient(cluster.nats.url) as anew:
                self.publish(anew, 5 * share, RECORDS)
            self.wait_out(cluster, RECORDS)
            with NatsClient(cluster.nats.url) as anew:
                out = [payload.decode() for _, _, payload in anew.messages("TOTALS")]
            results = cluster.run("results", "totals", "-o", "jsonl").stdout.splitlines()
            self.assertEqual(len(out), RECORDS)
            self.assertEqual(by_key(out), by_key(results))
            self.assertIn("stream TOTALS, subject totals.out", cluster.status("totals")["sink"]["to"])
            cluster.run("delete", "totals", "--yes")
            with NatsClient(cluster.nats.url) as anew:
                self.assertEqual(anew.api("STREAM.INFO.TOTALS")["state"]["messages"], RECORDS, "what is not the job's stays")

    def test_a_leader_that_comes_back_late(self):
        with Cluster(workers=["w1"]) as cluster, NatsClient(cluster.nats.url) as client:
            path = cluster.folder / "out.jsonl"
            cluster.run("submit", cluster.write("job.yaml", JOB.format(source="subject: 'clicks.>'", sink=f"file: {path}")))
            self.publish(client, 0, 500)
            self.wait_out(cluster, 500)
            first = cluster.coordinator
            first.signal(signal.SIGSTOP)
            second = cluster.start_coordinator()
            cluster.others.append(second)
            wait_for(lambda: "another process has locked" in cluster.status("totals")["reason"], "status says who keeps the file")
            self.publish(client, 500, 1000)
            first.signal(signal.SIGCONT)
            self.wait_out(cluster, 1000)
            self.expect_same(cluster, [path], 1000)
            cluster.run("delete", "totals", "--yes")
            wait_for(lambda: not list(cluster.folder.glob("*.millrace*")), "nothing is left beside the results")

    def test_a_folder_that_is_not_there_yet(self):
        with Cluster(workers=["w1"]) as cluster:
            folder = pathlib.Path(cluster.folder / "later")
            job = cluster.write("job.yaml", JOB.format(source="format: jsonl", sink=f"file: {folder}/out.jsonl"))
            cluster.run("submit", job, "--input", cluster.write("in.jsonl", self.lines(0, 100)))
            wait_for(lambda: "does its folder exist" in cluster.status("totals")["reason"], "status says what is missing")
            cluster.wait_state("totals", "completed")
            folder.mkdir()
            wait_for(lambda: (s := cluster.status("totals")["sink"])["done"] and not s["trouble"], "all is out")
            self.expect_same(cluster, [folder / "out.jsonl"], 100)
            self.assertEqual(cluster.status("totals")["reason"], "")

    def test_what_cannot_be_is_refused(self):
        with Cluster() as cluster:
            for bad in ("file: ''", "file: a/", "file: { path: a, rotate: 1KiB }", "file: { rotate: 1MiB }", "file: [a]", "file: a, stream: S",
                        "stream: mr-x-out-0", "subject: 'a.*'", "subject: clicks.out"):
                refused = cluster.try_run("check", cluster.write("bad.yaml", JOB.format(source="subject: 'clicks.>'", sink=bad)))
                assert_one_line(self, refused, USAGE)


if __name__ == "__main__":
    unittest.main()
