"""Stages whose code runs in handler processes: these, workers and the broker are killed, and the ledger holds."""

import collections
import json
import os
import pathlib
import random
import signal
import tempfile
import time
import unittest

import handlers
import ledger
from cluster import Cluster, coordinator, free_port, stage_metrics, wait_for

PROGRAM = pathlib.Path(__file__).resolve().parent / "handler_programs.py"
RECORDS = 20_000
KEYS = 200
KILLS = int(os.environ.get("MILLRACE_KILLS", "12"))

JOB = """\
name: {name}
source: {{format: jsonl}}
key: k
partitions: 6
stages:
  - filter: r.seq ~= nil
  - name: ledger
    keyed: {{ remote: '{endpoint}' }}
    timeout: {timeout}
commit: {{interval: 50ms}}
"""

WORDS = """\
name: words
source: {{format: jsonl}}
key: by
partitions: 3
stages:
  - flat_map: {{ remote: '{words}' }}
    name: words
  - key_by: word
    partitions: 2
  - keyed: {{ remote: '{told}' }}
    name: told
"""


class Sockets:
    """A folder for sockets whose path is short enough for them."""

    def __init__(self, test):
        self.folder = tempfile.TemporaryDirectory(prefix="mr-")
        test.addCleanup(self.folder.cleanup)

    def endpoint(self, stage):
        return f"ipc://{self.folder.name}/{stage}-{{worker}}.sock"

    def pattern(self, stage):
        return f"ipc://{self.folder.name}/{stage}-*.sock"


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(child) for child in children.read().split()]


class HandlersTest(unittest.TestCase):
    def serve(self, cluster, sockets, stage="l", processes=3, handler="ledger"):
        process = handlers.serve(PROGRAM, sockets.pattern(stage), cluster.folder / "handlers.log", processes, handler)
        cluster.others.append(process)
        return process

    def job(self, cluster, sockets, name, timeout="2s", stage="l"):
        return cluster.write(f"{name}.yaml", JOB.format(name=name, endpoint=sockets.endpoint(stage), timeout=timeout))

    def test_killed_everywhere_the_ledger_holds(self):
        rng = random.Random(5)
        sockets = Sockets(self)
        with Cluster(workers=["w1", "w2"]) as cluster:
            served = self.serve(cluster, sockets)
            data = cluster.folder / "input.jsonl"
            counts = ledger.write_input(data, RECORDS, KEYS)
            cluster.run("submit", self.job(cluster, sockets, "killed"), "--input", data)
            for _ in range(KILLS):
                time.sleep(rng.uniform(0.1, 0.5))
                what = rng.randrange(4)
                if what < 2:
                    for child in rng.sample(children_of(served.pid), 1):
                        os.kill(child, signal.SIGKILL)
                elif what == 2:
                    cluster.restart_worker(rng.choice(["w1", "w2"]))
                else:
                    cluster.nats.kill()
                    cluster.nats.start()
            cluster.wait_state("killed", "completed")
            self.assertEqual(ledger.check_results(cluster.results("killed"), counts, "lua"), RECORDS)
            self.assertEqual(cluster.status("killed")["dead_letters"], 0)
            cluster.run("verify", "killed")

    def test_what_kills_hangs_or_is_rejected_is_a_dead_letter_and_the_rest_is_right(self):
        sockets = Sockets(self)
        deeds = {500: "die", 900: "reject", 1300: "hang"}
        counts, lines = {}, []
        for i in range(2000):
            record = {"k": f"key-{i % 37}"}
            if i in deeds:
                lines.append({**record, "seq": 0, "do": deeds[i]})
                continue
            counts[record["k"]] = counts.get(record["k"], 0) + 1
            lines.append({**record, "seq": counts[record["k"]]})
        address = f"127.0.0.1:{free_port()}"
        counted = {}

        def completed():
            counted.update(stage_metrics(address, "handler", "ledger"))
            return cluster.status("deeds")["state"] == "completed"
        with Cluster() as cluster:
            cluster.start_worker("w1", flags=["--http", address])
            self.serve(cluster, sockets)
            data = cluster.write("input.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
            cluster.run("submit", self.job(cluster, sockets, "deeds", timeout="300ms"), "--input", data)
            wait_for(completed, "job deeds is completed")
            self.assertGreaterEqual(counted["handler_calls_total"], 2000)
            self.assertGreaterEqual(counted["handler_lost_total"], 3 * 2)
            self.assertEqual(counted["handler_lies_total"], 0)
            self.assertGreater(counted["handler_batch_seconds_count"], 0)
            ledger.check_results(cluster.results("deeds"), counts, "lua")
            letters = {letter["value"]["do"]: letter for letter in cluster.json("dead-letters", "list", "deeds")}
            self.assertEqual(letters["reject"]["error"], "it is not taken")
            self.assertEqual(letters["die"]["error"], "its handler ended (3 times)")
            self.assertEqual(letters["hang"]["error"], "its handler took too long (3 times)")
            self.assertEqual({letter["stage"] for letter in letters.values()}, {"ledger"})
            self.assertEqual(len(letters), 3)

    def test_without_handlers_a_job_says_what_it_waits_for_and_goes_on_when_they_come(self):
        sockets = Sockets(self)
        with Cluster(workers=["w1"]) as cluster:
            data = cluster.folder / "input.jsonl"
            counts = ledger.write_input(data, 300, 7)
            cluster.run("submit", self.job(cluster, sockets, "waits"), "--input", data)

            def says():
                reasons = [row.get("reason", "") for row in cluster.json("partitions", "waits")]
                return any("stage ledger waits for a handler at ipc://" in reason for reason in reasons)
            wait_for(says, "a partition says what it waits for")
            self.serve(cluster, sockets, processes=1)
            cluster.wait_state("waits", "completed")
            ledger.check_results(cluster.results("waits"), counts, "lua")

    def test_stages_without_state_timers_and_headers_cross_segments(self):
        sockets = Sockets(self)
        texts = [("ann", "to be or not to be"), ("bob", "be quick"), ("cem", ""), ("ann", "or else")]
        job = WORDS.format(words=sockets.endpoint("w"), told=sockets.endpoint("t"))
        counts = collections.Counter(word for _, text in texts for word in text.split())
        with Cluster(workers=["w1", "w2"]) as cluster:
            self.serve(cluster, sockets, "w", 1, "words")
            self.serve(cluster, sockets, "t", 2, "told")
            data = cluster.write("texts.jsonl", "".join(json.dumps({"by": by, "text": text}) + "\n" for by, text in texts))
            cluster.run("submit", cluster.write("words.yaml", job), "--input", data, "--wait")
            results = {result["key"]: result["value"] for result in cluster.results("words")}
            self.assertEqual({word: value["count"] for word, value in results.items()}, counts)
            self.assertEqual(results["quick"], {"count": 1, "from": "bob", "ending": True})
            cluster.run("verify", "words")

    def test_try_calls_handlers_or_says_that_none_came(self):
        sockets = Sockets(self)
        with tempfile.TemporaryDirectory(prefix="mr-try-") as folder:
            job_file = pathlib.Path(folder) / "job.yaml"
            job_file.write_text(JOB.format(name="tried", endpoint=sockets.endpoint("l"), timeout="2s"))
            line = '{"k":"a","seq":1}\n'
            done = coordinator("try", job_file, stdin=line)
            self.assertEqual(done.returncode, 6)
            self.assertIn("waits for a handler at ipc://", done.stderr)
            served = handlers.serve(PROGRAM, sockets.pattern("l"), pathlib.Path(folder) / "handlers.log")
            try:
                done = coordinator("try", job_file, stdin=line)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(json.loads(done.stdout)["value"], {"count": 1, "sum": 1, "chain": 1, "seq": 1})
            finally:
                served.stop()


if __name__ == "__main__":
    unittest.main()
