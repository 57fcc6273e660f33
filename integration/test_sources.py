"""Jobs that read a subject or a stream for ever: nothing lost, nothing doubled, whoever dies; and nothing left behind."""

import collections
import json
import unittest

import scenario
from cluster import Cluster, wait_for
from command_case import DONE, FAILED, NO_SUCH_THING, USAGE, assert_one_line
from nats_client import NatsClient

JOB = """name: totals
source: {{ {source} }}
key: user
partitions: 4
stages:
  - aggregate: {{ n: count(), total: sum(x) }}
"""
HEADERS_JOB = """name: totals
source: { subject: clicks }
key: user
partitions: 2
stages:
  - keyed: { lua: "emit(r, headers.Kind and { headers = { Kind = headers.Kind .. ' again' } } or {})" }
  - key_by: page
    partitions: 2
  - map: { seen: headers.traceparent }
sink: { subject: totals }
"""
RECORDS = 3000
USERS = 37


def setUpModule():
    scenario.announce("sources")


class Sources(unittest.TestCase):
    def publish(self, client, subject, first, last):
        for i in range(first, last):
            client.publish(subject, json.dumps({"user": f"u{i % USERS}", "x": i}).encode())

    def expect(self, cluster, job, records):
        wait_for(lambda: cluster.status(job)["records_out"] >= records, f"{records} results are out")
        count, total = collections.Counter(), collections.Counter()
        for i in range(records):
            count[f"u{i % USERS}"] += 1
            total[f"u{i % USERS}"] += i
        results = cluster.results(job)
        self.assertEqual(len(results), records)
        latest = {row["key"]: row["value"] for row in results}
        self.assertEqual(latest, {user: {"n": count[user], "total": total[user]} for user in count})

    def test_a_subject_while_everybody_is_killed(self):
        with Cluster(workers=["w1", "w2"]) as cluster:
            job = cluster.write("job.yaml", JOB.format(source="subject: 'clicks.>'"))
            self.assertIn("mr-totals-source", cluster.run("submit", job).stderr)
            with NatsClient(cluster.nats.url) as client:
                for part, kill in enumerate([cluster.restart_coordinator, lambda: cluster.restart_worker("w1"),
                                             cluster.restart_coordinator, lambda: None]):
                    self.publish(client, "clicks.page", part * RECORDS // 4, (part + 1) * RECORDS // 4)
                    kill()
                self.expect(cluster, "totals", RECORDS)
                source = wait_for(lambda: (s := cluster.status("totals")["source"])["records"] == RECORDS and s, "status says how far")
                self.assertEqual((source["stream"], source["rejected"], source["lost"], source["trouble"]), ("mr-totals-source", 0, 0, ""))
                client.publish("clicks.page", b"no JSON")
                wait_for(lambda: len(cluster.json("dead-letters", "list", "totals")) == 1, "the dead letter is there")
            self.assertIn("totals", cluster.run("submit", job).stderr, "submitting it again changes nothing")
            cluster.run("verify", "totals")
            cluster.run("delete", "totals", "--yes")
            with NatsClient(cluster.nats.url) as client:
                names = client.api("STREAM.NAMES")["streams"] or []
            self.assertEqual([name for name in names if name.startswith("mr-")], [])

    def test_a_stream_of_somebody_elses_that_is_made_anew(self):
        with Cluster(workers=["w1"]) as cluster, NatsClient(cluster.nats.url) as client:
            stream = {"name": "CLICKS", "subjects": ["clicks.*"], "storage": "file"}
            client.api("STREAM.CREATE.CLICKS", stream)
            self.publish(client, "clicks.page", 0, 100)
            job = cluster.write("job.yaml", JOB.format(source="stream: CLICKS, subject: clicks.page"))
            cluster.run("submit", job)
            self.publish(client, "clicks.page", 100, 200)
            self.publish(client, "clicks.other", 0, 10)
            self.expect(cluster, "totals", 200)
            client.api("STREAM.DELETE.CLICKS")
            wait_for(lambda: "CLICKS" in cluster.status("totals")["reason"], "status says that the stream is gone")
            client.api("STREAM.CREATE.CLICKS", stream)
            wait_for(lambda: "made anew" in cluster.status("totals")["reason"], "status says that it was made anew")
            cluster.run("delete", "totals", "--yes")
            self.assertEqual(client.api("STREAM.INFO.CLICKS")["state"]["messages"], 0, "what is not the job's stays")

    def lines(self, first, last):
        return "".join(json.dumps({"user": f"u{i % USERS}", "x": i}) + "\n" for i in range(first, last))

    def test_files_beside_a_source_while_everybody_is_killed(self):
        with Cluster(workers=["w1", "w2"]) as cluster:
            job = cluster.write("job.yaml", JOB.format(source="subject: 'clicks.>'"))
            third = RECORDS // 3
            files = [cluster.write("a.jsonl", self.lines(0, third) + "no JSON\n"),
                     cluster.write("b.jsonl", self.lines(third, 2 * third))]
            cluster.run("submit", job)
            with NatsClient(cluster.nats.url) as client:
                for point in ("ingest_after_claim:1", "ingest_after_epoch_marks:1", "ingest_after_append:2",
                              "ingest_between_end_marks:1", "ingest_before_fed:1"):
                    for file in files:
                        died = cluster.try_run("submit", job, "--input", file, environment={"MILLRACE_FAILPOINT": point})
                        self.assertEqual(died.returncode, -9, f"{point}: {died.stderr}")
                    cluster.restart_worker("w1")
                self.publish(client, "clicks.page", 2 * third, RECORDS)
                for file in files:
                    self.assertIn(f"{third} records fed", cluster.run("submit", job, "--input", file).stderr)
            cluster.restart_worker("w2")
            self.expect(cluster, "totals", RECORDS)
            again = cluster.run("submit", job, "--input", files[0])
            self.assertIn("nothing to do", again.stderr)
            status = cluster.status("totals")
            self.assertEqual(status["state"], "running")
            self.assertEqual([(row["inputs"], row["records"], row["rejected"]) for row in status["added"]],
                             [([str(files[0])], third, 1), ([str(files[1])], third, 0)])
            letters = cluster.json("dead-letters", "list", "totals")
            self.assertEqual([letter["id"] for letter in letters], [f"add-1.{len(self.lines(0, third))}"])
            cluster.run("verify", "totals")
            self.assertEqual(len(cluster.results("totals")), RECORDS, "nothing was added twice")

    def test_a_pipe_beside_a_source(self):
        with Cluster(workers=["w1"]) as cluster:
            job = cluster.write("job.yaml", JOB.format(source="subject: clicks"))
            text = self.lines(0, 200)
            cluster.run("submit", job, "--input", "-", stdin=text)
            self.expect(cluster, "totals", 200)
            self.assertIn("nothing to do", cluster.run("submit", job, "--input", "-", stdin=text).stderr)
            for other in (text + self.lines(200, 201), self.lines(0, 100), text[:-3] + "1}\n"):
                refused = cluster.try_run("submit", job, "--input", "-", stdin=other)
                self.assertEqual(refused.returncode, FAILED)
                self.assertIn("is another", refused.stderr)

    def test_headers_go_along_to_where_results_go(self):
        with Cluster(workers=["w1"]) as cluster, NatsClient(cluster.nats.url) as client:
            client.api("STREAM.CREATE.TOTALS", {"name": "TOTALS", "subjects": ["totals"], "storage": "file"})
            job = cluster.write("job.yaml", HEADERS_JOB)
            cluster.run("submit", job)
            parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            client.publish("clicks", b'{"user":"a","page":"x"}', {"traceparent": parent, "Kind": "view", "Nats-Msg-Id": "1"})
            client.publish("clicks", b'{"user":"b","page":"y"}')
            wait_for(lambda: client.last_sequence("TOTALS") == 2, "both results are out")
            found = {json.loads(payload)["key"]: (json.loads(payload)["value"], headers) for _, headers, payload in client.messages("TOTALS")}
            value, headers = found["x"]
            self.assertEqual(value, {"seen": parent})
            self.assertEqual({name: text for name, text in headers.items() if not name.startswith("Nats-")},
                             {"traceparent": parent, "Kind": "view again"})
            value, headers = found["y"]
            self.assertEqual((value, [name for name in headers if not name.startswith("Nats-")]), ({"seen": None}, []))
            cluster.run("verify", "totals")

    def test_what_cannot_be_read_is_refused(self):
        with Cluster() as cluster:
            missing = cluster.try_run("submit", cluster.write("job.yaml", JOB.format(source="stream: NOWHERE")))
            assert_one_line(self, missing, NO_SUCH_THING)
            self.assertIn("NOWHERE", missing.stderr)
            job = cluster.write("job.yaml", JOB.format(source="subject: clicks"))
            self.assertEqual(cluster.run("jobs").returncode, DONE)
            for bad in ("subject: '>'", "subject: mr.x", "subject: a b", "stream: mr-x-0-0", "subject: a, format: csv"):
                refused = cluster.try_run("check", cluster.write("bad.yaml", JOB.format(source=bad)))
                assert_one_line(self, refused, USAGE)


if __name__ == "__main__":
    unittest.main()
