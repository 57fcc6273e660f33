"""Stages in C++: exact under kills, wrong files said, and a record that crashes its worker a dead letter."""

import json
import shutil
import signal
import tempfile
import unittest

import feed
import plugins
from cluster import Cluster, wait_for
from command_case import FAILED, assert_one_line

CRASHED = 75  # a worker's exit code when a plugin crashed, as when it overran its time: start me again
CRASHES = 3  # of one record, until it is a dead letter
KEYS = 10
RECORDS = 6000
CRASHES_AT = 150

# Each record's number and the sum so far of its key's, times a weight by which versions are told apart.
SOURCE = """\
#include <millrace/plugin.h>

class Ledger final : public millrace::Keyed {
 public:
  void Handle(const millrace::Record& record, millrace::KeyedOut& out) override {
    const millrace::Value value = record.value();
    if (value["crash"].BoolOr(false)) *static_cast<volatile int*>(nullptr) = 1;
    if (value["overflow"].BoolOr(false)) Deeper(record, 1);
    const int64_t n = record.state()["n"].IntOr(0) + 1;
    out.SetState(millrace::Map("n", n));
    out.Emit(millrace::Map("n", n, "seq", value["seq"], "weight", WEIGHT));
  }

 private:
  static int64_t Deeper(const millrace::Record& record, volatile int64_t depth) {
    volatile char used[4096] = {};
    return Deeper(record, depth + 1) + used[depth % 4096];
  }
};
MILLRACE_PLUGIN(Ledger)
"""

JOB = """\
name: ledger
source: {{format: jsonl}}
key: k
partitions: 4
stages:
  - name: count
    keyed: {{plugin: {plugin}}}
commit: {{interval: 50ms}}
"""


def record(number, **more):
    return json.dumps({"k": f"k{number % KEYS}", "seq": number, **more}) + "\n"


class PluginsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="millrace-plugins-")
        cls.addClassCleanup(folder.cleanup)
        cls.built = plugins.build_sources({"ledger": SOURCE.replace("WEIGHT", "1"), "ledger-2": SOURCE.replace("WEIGHT", "1000")},
                                          folder.name)

    def begin(self, workers=("w1",)):
        self.cluster = self.enterContext(Cluster())
        self.folder = self.cluster.folder / "plugins"
        self.folder.mkdir()
        for name in ("ledger", "ledger-2"):
            shutil.copy(self.built / f"{name}.so", self.folder)
        self.flags = ("--plugins", self.folder)
        for name in workers:
            self.start_worker(name)
        self.job = self.cluster.write("job.yaml", JOB.format(plugin="ledger.so"))

    def start_worker(self, name, **options):
        return self.cluster.start_worker(name, flags=self.flags, **options)

    def check_answer(self, left_out=(), records=RECORDS):
        counts, expected = {}, {}
        for number in range(records):
            if number not in left_out:
                key = f"k{number % KEYS}"
                counts[key] = counts.get(key, 0) + 1
                expected.setdefault(key, []).append((counts[key], number))
        found = {}
        for result in self.cluster.results("ledger"):
            found.setdefault(result["key"], []).append((result["value"]["n"], result["value"]["seq"]))
        self.assertEqual(found, expected)
        self.assertIn("differences   0", self.cluster.run("verify", "ledger", *self.flags).stdout)

    def reason(self):
        return self.cluster.status("ledger")["reason"]

    def test_exact_while_workers_are_killed(self):
        self.begin(["w1", "w2"])
        fed = feed.Feed(self.cluster, self.job, [record(i) for i in range(RECORDS)], flags=self.flags)
        for step in range(1, 6):
            fed.write(RECORDS // 6)
            self.cluster.wait_records("ledger", step * (RECORDS // 6) // 2)
            victim = ("w1", "w2")[step % 2]
            self.cluster.kill_worker(victim)
            self.start_worker(victim)
        fed.finish()
        self.cluster.wait_state("ledger", "completed")
        self.check_answer()

    def test_a_record_that_crashes_its_worker_is_a_dead_letter(self):
        for wrong in ("crash", "overflow"):
            with self.subTest(wrong=wrong):
                self.begin()
                lines = [record(i, **({wrong: True} if i == CRASHES_AT else {})) for i in range(400)]
                self.cluster.run("submit", self.job, *self.flags, "--input", self.cluster.write("in.jsonl", "".join(lines)))
                crashes = 0

                def completed():
                    nonlocal crashes
                    if not self.cluster.workers["w1"].running():
                        self.assertEqual(self.cluster.workers["w1"].child.returncode, CRASHED)
                        crashes += 1
                        self.start_worker("w1")
                    return self.cluster.status("ledger")["state"] == "completed"
                wait_for(completed, "the job is completed")
                self.assertEqual(crashes, CRASHES)
                [letter] = self.cluster.json("dead-letters", "list", "ledger")
                self.assertEqual(letter["error"], "its plugin crashed with SIGSEGV (3 times)")
                self.assertEqual((letter["stage"], letter["attempts"]), ("count", CRASHES))
                self.check_answer(left_out=[CRASHES_AT], records=400)

    def test_try_says_which_record_crashes(self):
        self.begin(workers=[])
        done = self.cluster.try_run("try", self.job, *self.flags, stdin=record(1) + record(2, crash=True))
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("record 2: the plugin of stage count crashed", done.stderr)
        self.assertIn('"seq":1', done.stdout)

    def test_where_there_is_no_folder_nothing_begins_and_one_line_says_why(self):
        self.begin(workers=[])
        for command in ("check", "test", "try", "submit", "update"):
            done = self.cluster.try_run(command, self.job)
            assert_one_line(self, done, FAILED)
            self.assertIn("no folder of plugins was given here — try --plugins DIR", done.stderr)
        self.cluster.run("check", self.job, environment={"MILLRACE_PLUGINS": str(self.folder)})

    def test_a_worker_without_the_file_or_with_another_waits_and_says_so(self):
        self.begin(workers=[])
        other = self.cluster.folder / "others"
        other.mkdir()
        self.cluster.start_worker("w1", flags=("--plugins", other))
        lines = "".join(record(i) for i in range(100))
        self.cluster.run("submit", self.job, *self.flags, "--input", self.cluster.write("in.jsonl", lines))
        wait_for(lambda: "plugin ledger.so cannot be read" in self.reason(), "the missing file is the reason")
        shutil.copy(self.folder / "ledger-2.so", other / "ledger.so")
        wait_for(lambda: "is not the file that the job was submitted with" in self.reason(), "the other file is the reason")
        self.assertTrue(self.cluster.workers["w1"].running())
        shutil.copy(self.folder / "ledger.so", other / "ledger.so")
        self.cluster.wait_state("ledger", "completed")
        self.check_answer(records=100)

    def test_a_file_that_is_written_over_changes_nothing_that_runs(self):
        self.begin()
        fed = feed.Feed(self.cluster, self.job, [record(i) for i in range(RECORDS)], flags=self.flags)
        fed.write(RECORDS // 2)
        self.cluster.wait_records("ledger", RECORDS // 2)
        (self.folder / "ledger.so").write_bytes(b"gone")
        fed.finish()
        self.cluster.wait_state("ledger", "completed")
        shutil.copy(self.built / "ledger.so", self.folder)
        self.check_answer()

    def test_new_code_has_a_new_name(self):
        self.begin(["w1", "w2"])
        fed = feed.Feed(self.cluster, self.job, [record(i) for i in range(RECORDS)], flags=self.flags)
        fed.write(RECORDS // 2)
        self.cluster.wait_records("ledger", RECORDS // 2)

        disguised = self.cluster.folder / "disguised"
        disguised.mkdir()
        shutil.copy(self.folder / "ledger-2.so", disguised / "ledger.so")
        refused = self.cluster.try_run("update", self.job, "--plugins", disguised)
        assert_one_line(self, refused, FAILED)
        self.assertIn("`ledger.so` is another file than the one that version 0", refused.stderr)

        update = self.cluster.write("new.yaml", JOB.format(plugin="ledger-2.so"))
        self.cluster.run("update", update, *self.flags)
        self.cluster.workers["w1"].signal(signal.SIGKILL)
        self.start_worker("w1")
        fed.finish()
        self.cluster.wait_state("ledger", "completed")
        self.check_answer()
        weights = {}
        for result in self.cluster.results("ledger"):
            weight = result["value"]["weight"]
            self.assertGreaterEqual(weight, weights.get(result["key"], 1), result)
            weights[result["key"]] = weight
        self.assertEqual(set(weights.values()), {1000})


if __name__ == "__main__":
    unittest.main()
