"""Records that could not be handled, brought back once their reason is gone: each exactly once, wherever the command dies."""

import json
import unittest

import feed
import scenario
from cluster import Cluster, wait_for
from command_case import FAILED, NO_SUCH_THING, USAGE, assert_one_line

KEYS = 6
POINTS = ["retry_before_append", "retry_after_append", "retry_before_mark", "retry_before_append:3", "retry_after_append:3",
          "retry_before_mark:3"]
# A door that is shut until a record opens it; what came before is a dead letter.
JOB = """\
name: doors
source: {format: jsonl}
key: door
partitions: 2
stages:
  - name: door
    keyed:
      lua: |
        if r.opens then
          state = {open = true, passed = 0}
        elseif not (state and state.open) then
          error("the door is shut")
        else
          state.passed = state.passed + 1
          emit({who = r.who, passed = state.passed})
        end
commit: {interval: 50ms}
"""


class DeadLettersTest(unittest.TestCase):
    def setUp(self):
        scenario.announce(self.id())
        self.cluster = self.enterContext(Cluster(workers=["w1"]))
        job = self.cluster.write("doors.yaml", JOB)
        knocking = [json.dumps({"door": f"d{k}", "who": n}) + "\n" for n in range(2) for k in range(KEYS)]
        opening = [json.dumps({"door": f"d{k}", "opens": True}) + "\n" for k in range(KEYS)]
        self.feed = feed.Feed(self.cluster, job, knocking + opening)
        self.feed.write(len(knocking))
        wait_for(lambda: self.cluster.try_run("status", "doors").returncode == 0, "the job is there")
        wait_for(lambda: len(self.letters()) == 2 * KEYS, "nobody passes")
        self.feed.write(len(opening))
        self.cluster.wait_records("doors", len(knocking) + len(opening))

    def letters(self):
        return self.cluster.json("dead-letters", "list", "doors")

    def check_all_passed_once(self):
        wait_for(lambda: len(self.cluster.results("doors")) == 2 * KEYS, "all pass")
        self.feed.finish()
        self.cluster.wait_state("doors", "completed")
        passed = sorted((r["key"], r["value"]["who"]) for r in self.cluster.results("doors"))
        self.assertEqual(passed, sorted((f"d{k}", n) for k in range(KEYS) for n in range(2)))
        self.cluster.run("verify", "doors")

    def test_each_comes_back_once_wherever_the_command_dies(self):
        for point in POINTS:
            died = self.cluster.try_run("dead-letters", "retry", "doors", environment={"MILLRACE_FAILPOINT": point})
            self.assertEqual(died.returncode, -9, f"{point}: {died.stderr}")
        self.assertIn(" 0 cannot be retried", self.cluster.run("dead-letters", "retry", "doors").stderr)
        self.assertTrue(all(letter["retried_offset"] for letter in self.letters()))
        self.assertIn("0 retried, ", self.cluster.run("dead-letters", "retry", "doors").stderr)
        self.check_all_passed_once()

    def test_one_by_one_and_twice_at_once(self):
        ids = [letter["id"] for letter in self.letters()]
        self.cluster.run("dead-letters", "retry", ids[0], "doors")
        self.assertEqual([bool(letter["retried_offset"]) for letter in self.letters()], [i == ids[0] for i in ids])
        both = [self.cluster.start("dead-letters", "retry", "doors") for _ in range(2)]
        self.assertEqual([process.child.wait(60) for process in both], [0, 0])
        self.check_all_passed_once()

    def test_the_table_is_for_people(self):
        first = self.cluster.run("dead-letters", "list", "doors").stdout.splitlines()[1]
        self.assertRegex(first, r" \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")
        self.feed.finish()

    def test_refusals_and_purge(self):
        assert_one_line(self, self.cluster.try_run("dead-letters", "retry", "0.0.999.0", "doors"), NO_SUCH_THING)
        assert_one_line(self, self.cluster.try_run("dead-letters", "purge", "doors"), USAGE)
        self.assertEqual(len(self.letters()), 2 * KEYS)
        self.assertIn(str(2 * KEYS), self.cluster.run("dead-letters", "purge", "doors", "--yes").stderr)
        self.assertEqual(self.letters(), [])
        # An owner that goes through the log again sends its letters again.
        self.cluster.kill_worker("w1")
        self.cluster.start_worker("w2")
        self.feed.finish()
        self.cluster.wait_state("doors", "completed")
        self.assertEqual(self.letters(), [])
        self.cluster.run("verify", "doors")
        refused = self.cluster.try_run("dead-letters", "retry", "doors")
        assert_one_line(self, refused, FAILED)
        self.assertIn("completed", refused.stderr)


if __name__ == "__main__":
    unittest.main()
