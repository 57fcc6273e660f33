"""A job whose key changes on the way, as its users see it: every command knows its segments."""

import json
import unittest

import nats_client
from cluster import Cluster, wait_for

JOB = """\
name: moves
source: {format: jsonl}
key: from
partitions: 4
stages:
  - aggregate: {left: count(), to: last(to), at: last(at)}
  - key_by: to
    partitions: 3
    name: move
  - keyed:
      lua: |
        state.came = (state.came or 0) + 1
        if r.left == 13 then error("unlucky") end
        emit({came = state.came, left = r.left})
    name: arrive
commit: {interval: 50ms}
"""

HOMES, RECORDS = 10, 400


def records():
    """From each home in turn, to the next one: home 0 to home 1, ..."""
    return [{"from": f"home-{i % HOMES}", "to": f"home-{(i + 1) % HOMES}", "at": i} for i in range(RECORDS)]


class SegmentsTest(unittest.TestCase):
    def streams(self, cluster):
        with nats_client.NatsClient(cluster.nats.url) as nats:
            return [name for name in nats.stream_names() if name.startswith("mr-moves-")]

    def test_every_command_knows_them(self):
        with Cluster(workers=["w1", "w2"]) as cluster:
            job_file = cluster.write("moves.yaml", JOB)
            self.assertIn("4 + 3 partitions", cluster.run("check", job_file).stdout)
            lines = [json.dumps(record) + "\n" for record in records()]
            homeless = json.dumps({"from": "nowhere", "at": 0}) + "\n"
            input_file = cluster.write("moves.jsonl", "".join([*lines, homeless]))
            cluster.run("submit", job_file, "--input", input_file, "--wait")
            each = RECORDS // HOMES

            with self.subTest("status and partitions"):
                status = cluster.status("moves")
                self.assertEqual([s["partitions"] for s in status["segments"]], [4, 3])
                self.assertEqual(status["records_in"], RECORDS + 1)
                self.assertEqual(status["records_out"], RECORDS - HOMES)
                self.assertEqual(status["dead_letters"], 1 + HOMES)
                rows = cluster.json("partitions", "moves")
                self.assertEqual([(r["segment"], r["partition"]) for r in rows],
                                 [(0, p) for p in range(4)] + [(1, p) for p in range(3)])

            with self.subTest("results"):
                came = {}
                for result in cluster.results("moves"):
                    came.setdefault(result["key"], []).append(result["value"])
                self.assertEqual(len(came), HOMES)
                for home, values in came.items():
                    self.assertEqual([v["left"] for v in values], [n for n in range(1, each + 1) if n != 13], home)
                    self.assertEqual([v["came"] for v in values], list(range(1, each)), "what failed has left no state")
                self.assertIn("partitions 0 to 2", cluster.try_run("results", "moves", "--partition", "3").stderr)

            with self.subTest("dead letters of both segments"):
                letters = cluster.json("dead-letters", "list", "moves")
                self.assertEqual({(letter["segment"], letter["stage"]) for letter in letters}, {(0, "move"), (1, "arrive")})

            with self.subTest("state"):
                self.assertEqual(cluster.json("state", "get", "moves", "home-3")["value"], {"came": each - 1})
                first = cluster.json("state", "get", "moves", "home-3", "--segment", "0")
                self.assertEqual((first["segment"], first["value"]["left"]), (0, each))
                self.assertEqual(len(cluster.json("state", "scan", "moves", "--segment", "0")), HOMES)
                self.assertEqual(cluster.try_run("state", "get", "moves", "home-3", "--segment", "2").returncode, 2)

            with self.subTest("verify"):
                report = json.loads(cluster.run("verify", "moves", "-o", "json").stdout)
                self.assertEqual(report["crossed"], RECORDS)
                self.assertEqual(report["partitions"], 7)
                self.assertEqual(report["results"], RECORDS - HOMES)

            with self.subTest("delete"):
                self.assertGreater(len(self.streams(cluster)), 7)
                cluster.run("delete", "moves", "--yes")
                self.assertEqual(self.streams(cluster), [])

    def test_state_of_a_job_that_runs_is_asked_of_its_owners(self):
        with Cluster(workers=["w1", "w2"]) as cluster:
            job_file = cluster.write("moves.yaml", JOB)
            submit = cluster.start("submit", job_file, "--input", cluster.write("a.jsonl", json.dumps(records()[0]) + "\n"))
            wait_for(lambda: not submit.running(), "the input is fed")
            cluster.wait_state("moves", "completed")
            self.assertEqual(cluster.json("state", "get", "moves", "home-1")["segment"], 1)
            self.assertEqual(cluster.json("state", "get", "moves", "home-0")["segment"], 0, "it has only left")

    def test_what_crossed_is_verified(self):
        """A message put into the next segment's stream under a writer's name is a difference, whatever became of it."""
        with Cluster(workers=["w1"]) as cluster:
            job_file = cluster.write("moves.yaml", JOB)
            lines = [json.dumps(record) + "\n" for record in records()]
            feed_file = cluster.write("moves.jsonl", "".join(lines))
            cluster.run("submit", job_file, "--input", feed_file, "--wait")
            cluster.run("verify", "moves")
            with nats_client.NatsClient(cluster.nats.url) as nats:
                name, headers, payload = next((f"mr.moves.1.{p}", headers, payload) for p in range(3)
                                              for _, headers, payload in nats.messages(f"mr-moves-1-{p}")
                                              if headers.get("Millrace", "").split()[1:2] == ["r"])
                fields = headers["Millrace"].split()
                fields[4] = str(int(fields[4]) + 1)  # an epoch that nobody has claimed
                nats.publish(name, payload, {"Millrace": " ".join(fields)})
            done = cluster.try_run("verify", "moves")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("which nobody has claimed", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
