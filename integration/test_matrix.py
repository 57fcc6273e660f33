"""The ledger, whoever runs its stages: code in Lua, in C++, in handler processes, and a service that is asked, one record or several at a
time; with any concurrency, in any order; workers, handlers and the broker are killed meanwhile. The answer is always the same.

Some cells of the matrix are run with each change, and all of them with MILLRACE_MATRIX=whole (./run nightly).
"""

import json
import os
import pathlib
import random
import signal
import tempfile
import time
import unittest
import unittest.mock

import handlers
import ledger
import plugins
import scenario
from cluster import Cluster
from http_service import Answer, Service
from test_handlers import Sockets, children_of

PROGRAM = pathlib.Path(__file__).resolve().parent / "handler_programs.py"
RECORDS = int(os.environ.get("MILLRACE_MATRIX_RECORDS", "8000"))
KEYS = 97
KILLS = int(os.environ.get("MILLRACE_KILLS", "8"))  # of each group of cells
GROUP = 6  # cells that run at once
FEWEST_KILLS = 3
PATIENCE_SECONDS = 600  # for a cell of so many requests, one at a time, beside five others

CONCURRENCY = (1, 2, 4, 8, 16)
ORDERS = ("key", "partition", "none")
KINDS = ("lua", "handler", "plugin", "call", "batch")
SHORT = [("lua", 8, "key"), ("lua", 16, "none"), ("handler", 4, "none"), ("plugin", 1, "key"), ("call", 16, "none"), ("batch", 2, "key")]

HEAD = """\
name: {name}
source: {{format: jsonl}}
key: k
partitions: 4
commit: {{interval: 50ms}}
stages:
"""
LUA_LEDGER = """\
  - keyed:
      lua: |
        state.count = (state.count or 0) + 1
        state.sum = (state.sum or 0) + r.seq
        state.chain = ((state.chain or 0) * 31 + r.seq) % 1000003
        emit({{count = state.count, sum = state.sum, chain = state.chain, seq = r.seq}})
    concurrency: {concurrency}
    ordered: {strict}
"""
# Records go through a stage without state, and then into the ledger.
STAGES = {
    "lua": "  - map: {{ seq: r.seq }}\n    concurrency: {concurrency}\n    ordered: {loose}\n" + LUA_LEDGER,
    "handler": "  - flat_map: {{ remote: '{passed}' }}\n    concurrency: {concurrency}\n    ordered: {loose}\n"
               "  - keyed: {{ remote: '{ledger}' }}\n    concurrency: {concurrency}\n    ordered: {strict}\n",
    "plugin": "  - flat_map: {{ plugin: passed.so }}\n    concurrency: {concurrency}\n    ordered: {loose}\n"
              "  - keyed: {{ plugin: ledger.so }}\n    concurrency: {concurrency}\n    ordered: {strict}\n",
    "call": "  - call: {{ http: '{url}/one', result: '{{ seq = response.body.seq }}' }}\n    concurrency: {concurrency}\n"
            "    ordered: {loose}\n    retry: {{ attempts: 50, backoff: 5ms..50ms }}\n" + LUA_LEDGER,
}
STAGES["batch"] = STAGES["call"].replace("/one", "/many").replace(
    "    ordered: {loose}\n", "    ordered: {loose}\n    batch: {{ size: 25, linger: 5ms }}\n")

PLUGINS = {
    "passed": """\
#include <millrace/plugin.h>

class Passed final : public millrace::FlatMap {
 public:
  void Handle(const millrace::Record& record, millrace::Out& out) override { out.Emit(millrace::Map("seq", record.value()["seq"].Int())); }
};
MILLRACE_PLUGIN(Passed)
""",
    "ledger": """\
#include <millrace/plugin.h>

class Ledger final : public millrace::Keyed {
 public:
  void Handle(const millrace::Record& record, millrace::KeyedOut& out) override {
    const int64_t seq = record.value()["seq"].Int();
    const int64_t count = record.state()["count"].IntOr(0) + 1;
    const int64_t sum = record.state()["sum"].IntOr(0) + seq;
    const int64_t chain = (record.state()["chain"].IntOr(0) * 31 + seq) % 1000003;
    out.SetState(millrace::Map("count", count, "sum", sum, "chain", chain));
    out.Emit(millrace::Map("count", count, "sum", sum, "chain", chain, "seq", seq));
  }
};
MILLRACE_PLUGIN(Ledger)
""",
}


def setUpModule():
    scenario.announce("matrix")


def runs(kind, concurrency, order):
    """What a job file may say: plugins run with their partition, and requests have no order among partitions."""
    return not (kind == "plugin" and concurrency > 1 or kind in ("call", "batch") and order == "partition")


def whole_matrix():
    return [(kind, concurrency, order) for kind in KINDS for concurrency in CONCURRENCY for order in ORDERS if runs(kind, concurrency, order)]


def fickle(rng):
    """A service that gives back what it is given, and one time in fifteen refuses or resets."""
    def answer(request):
        mood = rng.randrange(30)
        if mood == 0:
            return Answer(503)
        if mood == 1:
            return Answer(reset=True)
        return Answer(200, request.body, {"Content-Type": "application/json"})
    return answer


class MatrixTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="millrace-plugins-")
        cls.addClassCleanup(folder.cleanup)
        built = plugins.build_sources(PLUGINS, folder.name)
        cls.enterClassContext(unittest.mock.patch.dict(os.environ, {"MILLRACE_PLUGINS": str(built)}))

    def submit(self, cluster, cell, sockets, url, data):
        kind, concurrency, order = cell
        name = f"{kind}-{concurrency}-{order}"
        text = HEAD.format(name=name) + STAGES[kind].format(
            concurrency=concurrency, loose=order, strict="key" if order == "none" else order, url=url,
            passed=sockets.endpoint(f"p-{name}"), ledger=sockets.endpoint(f"l-{name}"))
        cluster.run("submit", cluster.write(f"{name}.yaml", text), "--input", data)
        return name

    def kill(self, cluster, rng, served):
        what = rng.randrange(6)
        if what == 0:
            cluster.nats.kill()
            cluster.nats.start()
        elif what <= 2 and served:
            os.kill(rng.choice(children_of(rng.choice(served).pid)), signal.SIGKILL)
        else:
            cluster.restart_worker(rng.choice(["w1", "w2"]))

    def run_group(self, cells, rng):
        sockets = Sockets(self)
        with Service(fickle(rng)) as service, Cluster() as cluster:
            data = cluster.folder / "input.jsonl"
            counts = ledger.write_input(data, RECORDS, KEYS, seed=scenario.SEED)
            names = [self.submit(cluster, cell, sockets, service.url, data) for cell in cells]
            served = []
            if any(kind == "handler" for kind, _, _ in cells):
                for handler, stage in (("passed", "p"), ("ledger", "l")):
                    served.append(handlers.serve(PROGRAM, sockets.pattern(stage), cluster.folder / f"{handler}.log", 2, handler))
                cluster.others.extend(served)
            for worker in ("w1", "w2"):
                cluster.start_worker(worker)
            kills = 0
            for _ in range(KILLS):
                time.sleep(rng.uniform(0.2, 0.8))
                if all(cluster.status(name)["state"] == "completed" for name in names):
                    break
                self.kill(cluster, rng, served)
                kills += 1
            self.assertGreaterEqual(kills, FEWEST_KILLS, "they were killed while records were under way")
            for name in names:
                began = time.monotonic()
                with cluster.part(self, job=name):
                    cluster.wait_state(name, "completed", PATIENCE_SECONDS)
                    self.assertEqual(ledger.check_results(cluster.results(name), counts, "lua"), RECORDS)
                    self.assertEqual(cluster.status(name)["dead_letters"], 0)
                    cluster.run("verify", name)
                print(f"{name}: {time.monotonic() - began:.1f} s, {kills} kills", flush=True)

    def test_every_cell_comes_to_the_same(self):
        rng = random.Random(scenario.SEED)
        cells = whole_matrix() if os.environ.get("MILLRACE_MATRIX") == "whole" else list(SHORT)
        if len(cells) > len(SHORT):
            rng.shuffle(cells)  # each group has several kinds
        for first in range(0, len(cells), GROUP):
            group = cells[first:first + GROUP]
            print(f"{group}", flush=True)
            self.run_group(group, rng)
        print(json.dumps({"cells": len(cells), "records": len(cells) * RECORDS}), flush=True)


if __name__ == "__main__":
    unittest.main()
