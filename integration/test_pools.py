"""Stages with `concurrency`: whatever the number, the order and whose code it is, what comes out is the same, also under kills."""

import json
import os
import pathlib
import random
import time
import unittest

import handlers
import ledger
from cluster import Cluster
from test_handlers import Sockets

PROGRAM = pathlib.Path(__file__).resolve().parent / "handler_programs.py"
RECORDS = 30_000
KEYS = 300
KILLS = int(os.environ.get("MILLRACE_KILLS", "10"))
CONCURRENCY = (1, 2, 4, 8, 16)

LEDGER = """\
name: pooled
source: {{format: jsonl}}
key: k
partitions: 6
stages:
  - balance: 8
    stages:
      - map: {{ seq: r.seq, twice: 2 * r.seq }}
      - keyed:
          lua: |
            state.count = (state.count or 0) + 1
            state.sum = (state.sum or 0) + r.seq
            state.chain = ((state.chain or 0) * 31 + r.seq) % 1000003
            emit({{count = state.count, sum = state.sum, chain = state.chain, seq = r.seq}})
commit: {{interval: 50ms}}
"""

# Words of a text, each counted for the key of its text, in Lua and in handler processes.
LUA_WORDS = """\
  - flat_map: '(function() local words = {{}} for word in r.text:gmatch("%S+") do words[#words + 1] = word end return words end)()'
    concurrency: {concurrency}
    ordered: {loose}
  - keyed:
      lua: |
        state.count = (state.count or 0) + 1
        state.words = (state.words or "") .. r
        emit({{word = r, count = state.count, words = state.words}})
    concurrency: {concurrency}
    ordered: {strict}
"""
REMOTE_WORDS = """\
  - flat_map: {{ remote: '{words}' }}
    concurrency: {concurrency}
    ordered: {loose}
  - keyed: {{ remote: '{joined}' }}
    concurrency: {concurrency}
    ordered: {strict}
"""
MATRIX_JOB = "name: {name}\nsource: {{format: jsonl}}\nkey: by\npartitions: 3\nstages:\n"


class PoolsTest(unittest.TestCase):
    def test_killed_workers_leave_the_ledger_right(self):
        rng = random.Random(11)
        with Cluster(workers=["w1", "w2"]) as cluster:
            data = cluster.folder / "input.jsonl"
            counts = ledger.write_input(data, RECORDS, KEYS)
            cluster.run("submit", cluster.write("pooled.yaml", LEDGER.format()), "--input", data)
            for _ in range(KILLS):
                time.sleep(rng.uniform(0.1, 0.5))
                cluster.restart_worker(rng.choice(["w1", "w2"]))
            cluster.wait_state("pooled", "completed")
            self.assertEqual(ledger.check_results(cluster.results("pooled"), counts, "lua"), RECORDS)
            self.assertEqual(cluster.status("pooled")["dead_letters"], 0)
            cluster.run("verify", "pooled")

    @staticmethod
    def by_key(results):
        found = {}
        for result in results:
            found.setdefault(result["key"], []).append(result["value"])
        return found

    def run_matrix(self, cluster, stages, **places):
        """The answers of each combination, which are all the same."""
        rng = random.Random(3)
        words = ["to", "be", "or", "not", "that", "is", "the", "question"]
        lines = [{"by": f"key-{rng.randrange(17)}", "text": " ".join(rng.choices(words, k=rng.randrange(1, 5)))} for _ in range(300)]
        data = cluster.write("texts.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        expected = {}
        for line in lines:
            expected.setdefault(line["by"], []).extend(line["text"].split())
        for concurrency in CONCURRENCY:
            for order in ("key", "partition", "none"):
                name = f"c{concurrency}-{order}"
                text = MATRIX_JOB.format(name=name) + stages.format(
                    concurrency=concurrency, loose=order, strict="key" if order == "none" else order, **{
                        key: place.replace("NAME", name) for key, place in places.items()})
                cluster.run("submit", cluster.write(f"{name}.yaml", text), "--input", data, "--wait")
                with self.subTest(name):
                    found = self.by_key(cluster.results(name))
                    self.assertEqual({key: [value["word"] for value in values] for key, values in found.items()}, expected)
                    for values in found.values():
                        self.assertEqual([value["count"] for value in values], list(range(1, len(values) + 1)))
                        self.assertEqual(values[-1]["words"], "".join(value["word"] for value in values))

    def test_lua_comes_to_the_same_whatever_the_concurrency_and_the_order(self):
        with Cluster(workers=["w1", "w2"]) as cluster:
            self.run_matrix(cluster, LUA_WORDS)
            cluster.run("verify", "c16-none")

    def test_handlers_come_to_the_same_whatever_the_concurrency_and_the_order(self):
        sockets = Sockets(self)
        with Cluster(workers=["w1", "w2"]) as cluster:
            for handler, stage in (("words", "w"), ("joined", "j")):
                served = handlers.serve(PROGRAM, sockets.pattern(stage), cluster.folder / f"{handler}.log", 2, handler)
                cluster.others.append(served)
            self.run_matrix(cluster, REMOTE_WORDS, words=sockets.endpoint("w-NAME"), joined=sockets.endpoint("j-NAME"))


if __name__ == "__main__":
    unittest.main()
