"""User code that never returns, or eats all memory: one record pays for it, the rest is right."""

import json
import unittest

from cluster import Cluster, wait_for

OVERRAN = 75  # a worker's exit code when user code overran its time: start me again
RECORDS = 400
LOOPS_AT = 150  # the record that never returns

JOB = """\
name: {name}
source: {{format: jsonl}}
key: k
partitions: 2
stages:
{before}  - name: count
    keyed:
      lua: |
        if r.loop then while true do end end
        if r.bomb then
          local hoard = {{}}
          while true do hoard[#hoard + 1] = string.rep("x", 1000000) .. #hoard end
        end
        state.n = (state.n or 0) + 1
        emit({{n = state.n, seq = r.seq}})
    timeout: {timeout}
{policy}
commit: {{interval: 50ms}}
"""


def input_lines(special):
    for i in range(RECORDS):
        record = {"k": f"key-{i % 10}", "seq": i}
        if i == LOOPS_AT:
            record[special] = True
        yield json.dumps(record) + "\n"


class VerdictTest(unittest.TestCase):
    def submit(self, cluster, name, special, policy="", timeout="300ms", before=""):
        job_file = cluster.write(f"{name}.yaml", JOB.format(name=name, policy=policy, timeout=timeout, before=before))
        input_file = cluster.write(f"{name}.jsonl", "".join(input_lines(special)))
        cluster.run("submit", job_file, "--input", input_file)

    def restart_until_completed(self, cluster, name):
        """Does what a supervisor would. Returns how often the worker ended by itself."""
        ends = 0

        def completed():
            nonlocal ends
            if not cluster.workers["w1"].running():
                self.assertEqual(cluster.workers["w1"].child.returncode, OVERRAN)
                ends += 1
                cluster.start_worker("w1")
            return cluster.status(name)["state"] == "completed"
        wait_for(completed, f"job {name} is completed")
        return ends

    def check_rest(self, cluster, name, attempts):
        """Every other record counted once and in order; the one is a dead letter that says why."""
        letters = cluster.json("dead-letters", "list", name)
        self.assertEqual(len(letters), 1, letters)
        self.assertEqual(letters[0]["value"]["seq"], LOOPS_AT)
        self.assertEqual(letters[0]["attempts"], attempts)
        by_key = {}
        for result in cluster.results(name):
            by_key.setdefault(result["key"], []).append(result["value"])
        for key, values in by_key.items():
            self.assertEqual([v["n"] for v in values], list(range(1, len(values) + 1)), key)
            expected = [i for i in range(RECORDS) if f"key-{i % 10}" == key and i != LOOPS_AT]
            self.assertEqual([v["seq"] for v in values], expected, key)
        self.assertEqual(len(by_key), 10)
        cluster.run("verify", name)
        return letters[0]

    def test_endless_loop_is_a_dead_letter_after_one_attempt(self):
        with Cluster(workers=["w1"]) as cluster:
            self.submit(cluster, "loop", "loop")
            self.assertEqual(self.restart_until_completed(cluster, "loop"), 1)
            letter = self.check_rest(cluster, "loop", attempts=1)
            self.assertIn("time", letter["error"])
            self.assertEqual(letter["stage"], "count")

    def test_endless_loop_in_a_thread_of_a_pool_is_a_dead_letter_after_one_attempt(self):
        with Cluster(workers=["w1"]) as cluster:
            self.submit(cluster, "pooled", "loop", policy="    concurrency: 4")
            self.assertEqual(self.restart_until_completed(cluster, "pooled"), 1)
            letter = self.check_rest(cluster, "pooled", attempts=1)
            self.assertIn("time", letter["error"])
            self.assertEqual(letter["stage"], "count")

    def test_endless_loop_is_tried_as_often_as_the_job_says(self):
        with Cluster(workers=["w1"]) as cluster:
            self.submit(cluster, "twice", "loop", policy="    retry: { attempts: 2, backoff: 10ms }")
            self.assertEqual(self.restart_until_completed(cluster, "twice"), 2)
            self.check_rest(cluster, "twice", attempts=2)

    def test_endless_loop_in_front_of_a_change_of_the_key_and_behind_it(self):
        loops = "  - filter: r.loop == nil or (function() while true do end end)()\n    timeout: 300ms\n"
        for name, before in {"behind": "  - key_by: k\n", "in-front": loops + "  - key_by: k\n"}.items():
            with self.subTest(name), Cluster(workers=["w1"]) as cluster:
                self.submit(cluster, name, "loop", before=before)
                self.assertEqual(self.restart_until_completed(cluster, name), 1)
                letter = self.check_rest(cluster, name, attempts=1)
                self.assertEqual(letter["segment"], 1 if name == "behind" else 0)

    def test_memory_bomb_is_a_dead_letter_and_the_worker_lives(self):
        with Cluster(workers=["w1"]) as cluster:
            self.submit(cluster, "bomb", "bomb", timeout="30s")
            self.assertEqual(self.restart_until_completed(cluster, "bomb"), 0)
            letter = self.check_rest(cluster, "bomb", attempts=1)
            self.assertIn("memory", letter["error"])


if __name__ == "__main__":
    unittest.main()
