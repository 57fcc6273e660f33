"""Results posted to a service: nothing is lost, and what comes again comes as whole batches under the same keys."""

import collections
import json
import random
import signal
import unittest

import scenario
from cluster import Cluster, wait_for
from command_case import USAGE, assert_one_line
from http_service import Answer, Service
from nats_client import NatsClient

JOB = """name: totals
source: {{ {source} }}
key: user
partitions: 4
stages:
  - aggregate: {{ n: count(), total: sum(x) }}
sink: {{ http: {sink} }}
"""
RECORDS = 4000
USERS = 37
POINTS = ("sink_batch_noted:1", "sink_batch_sent:1", "sink_after_position:1", "sink_batch_noted:3", "sink_batch_sent:2")


def setUpModule():
    scenario.announce("http_sink")


class HttpSink(unittest.TestCase):
    def lines(self, first, last):
        return "".join(json.dumps({"user": f"u{i % USERS}", "x": i}) + "\n" for i in range(first, last))

    def publish(self, client, first, last):
        for line in self.lines(first, last).splitlines():
            client.publish("clicks.page", line.encode())

    def expect_whole(self, cluster, service, records):
        """A service that knows batches by their keys has each result once, and each partition's in order."""
        batches = {}
        for request in service.seen():
            known = batches.setdefault(request.key, request.body)
            self.assertEqual(known, request.body, "one key is one batch")
        taken = {request.key: request.body for request in service.seen() if request.answered == 200}
        self.assertEqual(taken.keys(), batches.keys())
        out = collections.defaultdict(list)
        for body in taken.values():  # in the order in which each came first
            for line in body.decode().splitlines():
                out[json.loads(line)["partition"]].append(line)
        results = collections.defaultdict(list)
        for line in cluster.run("results", "totals", "-o", "jsonl").stdout.splitlines():
            results[json.loads(line)["partition"]].append(line)
        self.assertEqual(sum(map(len, out.values())), records)
        self.assertEqual(out, results)

    def test_whoever_dies_and_whatever_the_service_says(self):
        rng = random.Random(7)

        def moody(_request):
            return rng.choice([Answer(200)] * 6 + [Answer(503), Answer(429, headers={"Retry-After": "0"}), Answer(reset=True)])

        with Service(moody) as service, Cluster(workers=["w1", "w2"]) as cluster, NatsClient(cluster.nats.url) as client:
            sink = f"{{ url: '{service.url}/in', batch: 50, linger: 50ms, headers: {{ X-Token: '${{KEY}}' }} }}"
            secret = {"MILLRACE_SECRET_KEY": "abc"}
            cluster.run("submit", cluster.write("job.yaml", JOB.format(source="subject: 'clicks.>'", sink=sink)))
            wait_for(lambda: "MILLRACE_SECRET_KEY is not set" in cluster.status("totals")["reason"], "status says what is missing")
            share = RECORDS // (len(POINTS) + 1)
            for part, point in enumerate(POINTS):
                cluster.coordinator.kill()
                cluster.coordinator = cluster.start_coordinator({"MILLRACE_FAILPOINT": point, **secret})
                self.publish(client, part * share, (part + 1) * share)
                wait_for(lambda: not cluster.coordinator.running(), f"the coordinator dies at {point}")
                self.assertEqual(cluster.coordinator.child.returncode, -signal.SIGKILL, point)
                cluster.restart_worker("w1")
            cluster.coordinator.kill()
            cluster.coordinator = cluster.start_coordinator(secret)
            self.publish(client, len(POINTS) * share, RECORDS)
            wait_for(lambda: (s := cluster.status("totals"))["sink"] and s["sink"]["records"] >= RECORDS, "all results are out")
            cluster.run("cancel", "totals")
            wait_for(lambda: cluster.status("totals")["sink"]["done"], "the sink is done")
            self.expect_whole(cluster, service, RECORDS)
            self.assertEqual({request.headers["X-Token"] for request in service.seen()}, {"abc"})
            self.assertNotIn("abc", json.dumps(cluster.status("totals")))

    def test_what_the_service_refuses_is_not_passed_over(self):
        refuse = True

        def strict(_request):
            return Answer(422, b"no such\nledger") if refuse else Answer(200)

        with Service(strict) as service, Cluster(workers=["w1"]) as cluster:
            job = cluster.write("job.yaml", JOB.format(source="format: jsonl", sink=f"{{ url: '{service.url}/in?key=hidden', format: array }}"))
            cluster.run("submit", job, "--input", cluster.write("in.jsonl", self.lines(0, 1000)))
            wait_for(lambda: "refuses a batch" in cluster.status("totals")["reason"], "status says what the service said")
            said = cluster.status("totals")["reason"]
            self.assertIn("HTTP 422 no such ledger", said)
            self.assertNotIn("hidden", said)
            cluster.wait_state("totals", "completed")
            self.assertEqual(cluster.status("totals")["sink"]["records"], 0)
            refuse = False
            wait_for(lambda: (s := cluster.status("totals")["sink"])["done"] and not s["trouble"], "all is out")
            out = [row for request in service.seen() if request.answered == 200 for row in json.loads(request.body)]
            self.assertEqual(len(out), 1000)
            self.assertEqual({request.headers["Content-Type"] for request in service.seen()}, {"application/json"})

    def test_a_stop_does_not_wait_for_a_service_that_hangs(self):
        with Service(lambda _request: Answer(200)) as service, Cluster(workers=["w1"]) as cluster:
            asked = []

            def hang(request):
                asked.append(request)
                wait_for(lambda: not cluster.coordinator.running(), "the coordinator ends")
                return Answer(200)

            service.decide = hang
            job = cluster.write("job.yaml", JOB.format(source="format: jsonl", sink=f"{{ url: '{service.url}', timeout: 10m }}"))
            cluster.run("submit", job, "--input", cluster.write("in.jsonl", self.lines(0, 10)))
            wait_for(lambda: asked, "the service is asked")
            self.assertEqual(cluster.coordinator.stop(), 0)

    def test_what_cannot_be_is_refused(self):
        with Cluster() as cluster:
            for bad in ("ftp://x", "'http://'", "{ batch: 5 }", "{ url: 'http://x', batch: 0 }", "{ url: 'http://x', format: csv }",
                        "{ url: 'http://x', linger: 2m }", "{ url: 'http://x', headers: { 'a b': c } }"):
                refused = cluster.try_run("check", cluster.write("bad.yaml", JOB.format(source="format: jsonl", sink=bad)))
                assert_one_line(self, refused, USAGE)


if __name__ == "__main__":
    unittest.main()
