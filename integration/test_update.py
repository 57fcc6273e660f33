"""New code for a job that runs: state kept, each record under one version of the code, whoever dies meanwhile."""

import json
import unittest

import feed
import scenario
from cluster import Cluster, wait_for
from command_case import FAILED, NO_SUCH_THING, TIMED_OUT, assert_one_line

KEYS = 8
PARTITIONS = 4
RECORDS = 6000
NEW_WEIGHT = 1000
# What a record adds to the sum of its key says which version took it. The first version runs no user code.
JOB = """\
name: {name}
source: {{format: jsonl}}
key: k
partitions: 4
stages:
{before}  - aggregate: {{n: count(), sum: sum(v), g: last(g)}}
{behind}commit: {{interval: 50ms}}
"""
SECOND_SEGMENT = """\
  - key_by: g
    partitions: 2
  - aggregate: {m: count(), sums: sum(n)}
"""
LATER_ENGINE = {"MILLRACE_STEP_VERSION": "2"}


def job(name, new=False, behind=""):
    before = f"  - map: {{v: r.v * {NEW_WEIGHT}, g: r.g}}\n" if new else ""
    return JOB.format(name=name, before=before, behind=behind)


def lines(records):
    return [json.dumps({"k": f"k{i % KEYS}", "v": 1, "g": f"g{i % 3}"}) + "\n" for i in range(records)]


class UpdateCase(unittest.TestCase):
    def begin(self, workers, behind="", records=RECORDS):
        scenario.announce(self.id())
        self.cluster = self.enterContext(Cluster(workers=workers))
        self.old = self.cluster.write("old.yaml", job("sums", behind=behind))
        self.new = self.cluster.write("new.yaml", job("sums", new=True, behind=behind))
        self.feed = feed.Feed(self.cluster, self.old, lines(records))
        self.share = records // 6
        self.feed.write(self.share)
        self.cluster.wait_records("sums", self.share)

    def versions(self):
        return [row["code"] for row in self.cluster.json("partitions", "sums")]

    def finish(self, environment=None):
        self.feed.finish()
        self.cluster.wait_state("sums", "completed")
        self.assertIn("differences   0", self.cluster.run("verify", "sums", environment=environment).stdout)

    def check_each_record_counted_once_under_one_version(self):
        """By key, each result adds one record of the old code, up to the mark, or of the new one, behind it."""
        counts, sums, weights = {}, {}, {}
        for result in self.cluster.results("sums"):
            key, value = result["key"], result["value"]
            self.assertEqual(value["n"], counts.get(key, 0) + 1, result)
            weight = value["sum"] - sums.get(key, 0)
            self.assertIn(weight, (1, NEW_WEIGHT), result)
            self.assertGreaterEqual(weight, weights.get(key, 1), f"the old code ran behind the new: {result}")
            counts[key], sums[key], weights[key] = value["n"], value["sum"], weight
        self.assertEqual(sum(counts.values()), RECORDS)
        self.assertEqual(set(weights.values()), {NEW_WEIGHT}, "the update came too late for some key")


class UpdateUnderKills(UpdateCase):
    def test_workers_die_at_the_mark(self):
        self.begin(["w1", "w2"])
        self.cluster.restart_worker("w1", failpoint="after_code_mark_sent")
        self.cluster.restart_worker("w2", failpoint="after_code_switch")
        self.cluster.wait_ready("w1", "w2")
        wait_for(lambda: set(self.cluster.owners("sums")) == {"w1", "w2"}, "both have partitions")
        self.cluster.run("update", self.new, "--no-wait")
        self.feed.write(self.share)
        for name, point in (("w1", "after_code_mark_sent"), ("w2", "after_code_switch")):
            self.cluster.wait_killed_by_itself(name, point)
        self.cluster.start_worker("w1")
        self.feed.write(self.share)
        self.cluster.start_worker("w2")
        self.assertIn("nothing to do", self.cluster.run("update", self.new).stderr)
        self.assertEqual(self.versions(), [1] * PARTITIONS)
        self.finish()
        self.check_each_record_counted_once_under_one_version()

    def test_workers_die_at_any_time(self):
        self.begin(["w1", "w2"])
        update = self.cluster.start("update", self.new)
        for name in ("w1", "w2", "w1"):
            self.feed.write(self.share // 3)
            self.cluster.restart_worker(name)
        self.assertEqual(update.child.wait(120), 0)
        self.finish()
        self.check_each_record_counted_once_under_one_version()

    def test_the_command_dies(self):
        self.begin(["w1"])
        for point in ("update_before_key", "update_after_key"):
            died = self.cluster.try_run("update", self.new, environment={"MILLRACE_FAILPOINT": point})
            self.assertEqual(died.returncode, -9, f"{point}: {died.stderr}")
        self.cluster.run("update", self.new)
        self.assertEqual(self.cluster.status("sums")["code"], 1)
        self.assertEqual(self.versions(), [1] * PARTITIONS)
        self.finish()
        self.check_each_record_counted_once_under_one_version()

    def test_two_segments(self):
        self.begin(["w1", "w2"], behind=SECOND_SEGMENT)
        self.cluster.run("update", self.new)
        self.feed.write(self.share)
        self.cluster.restart_worker("w1")
        wait_for(lambda: set(self.versions()) == {1}, "all that has an owner runs the new code")
        self.finish()


class UpdateCommands(UpdateCase):
    def test_refusals_and_what_submit_says(self):
        self.begin(["w1"], records=600)
        unfit = self.cluster.write("unfit.yaml", self.new.read_text().replace("count()", "max(v)"))
        refused = self.cluster.try_run("update", unfit)
        assert_one_line(self, refused, FAILED)
        self.assertIn("unfit.yaml:7:5: `aggregate.n` was `count()`, is `max(v)`", refused.stderr)
        other = self.cluster.write("other.yaml", job("others"))
        assert_one_line(self, self.cluster.try_run("update", other), NO_SUCH_THING)
        self.assertIn("nothing to do", self.cluster.run("update", self.old).stderr)
        self.assertEqual(self.cluster.status("sums")["code"], 0)
        self.cluster.run("update", self.new)
        old = self.cluster.try_run("submit", self.old, "--input", "-")
        assert_one_line(self, old, FAILED)
        self.assertIn("the file is version 0 of its code", old.stderr)
        self.finish()
        self.assertIn("nothing to do", self.cluster.run("submit", self.new, "--input", "-", stdin="".join(lines(600))).stderr)
        assert_one_line(self, self.cluster.try_run("update", self.old), FAILED)
        self.cluster.run("delete", "sums", "--yes")

    def test_a_paused_job_has_its_new_code_when_it_goes_on(self):
        self.begin(["w1"])
        self.cluster.run("pause", "sums")
        self.assertIn("is paused", self.cluster.run("update", self.new).stderr)
        self.cluster.run("resume", "sums")
        wait_for(lambda: self.versions() == [1] * PARTITIONS, "all run the new code")
        self.finish()

    def test_a_wait_has_an_end(self):
        self.begin(["w1"], records=600)
        self.cluster.kill_worker("w1")
        timed_out = self.cluster.try_run("update", self.new, "--timeout", "1s")
        self.assertEqual(timed_out.returncode, TIMED_OUT, timed_out.stderr)
        self.cluster.start_worker("w1")
        self.cluster.run("update", self.new)
        self.finish()


class SubmitThatUpdates(UpdateCase):
    """What a deployment does again and again with the job files that it has: make the job, or bring it up to date."""

    def setUp(self):
        scenario.announce(self.id())
        self.cluster = self.enterContext(Cluster())
        self.old = self.cluster.write("old.yaml", job("sums"))
        self.new = self.cluster.write("new.yaml", job("sums", new=True))
        self.input = self.cluster.write("records.jsonl", "".join(lines(600)))

    def submit(self, job_file, records):
        return self.cluster.try_run("submit", job_file, "--input", records, "--update")

    def test_makes_the_job_then_its_code_then_nothing(self):
        for job_file, version in ((self.old, 0), (self.old, 0), (self.new, 1), (self.new, 1), (self.old, 2)):
            done = self.submit(job_file, self.input)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.cluster.status("sums")["code"], version, done.stderr)
        self.cluster.start_worker("w1")
        self.cluster.wait_state("sums", "completed")
        self.assertIn("differences   0", self.cluster.run("verify", "sums").stdout)

    def test_other_input_and_an_ended_job_are_refused_and_change_nothing(self):
        self.assertEqual(self.submit(self.old, self.input).returncode, 0)
        refused = self.submit(self.new, self.cluster.write("others.jsonl", "".join(lines(601))))
        assert_one_line(self, refused, FAILED)
        self.assertEqual(self.cluster.status("sums")["code"], 0)
        self.cluster.start_worker("w1")
        self.cluster.wait_state("sums", "completed")
        ended = self.submit(self.new, self.input)
        assert_one_line(self, ended, FAILED)
        self.assertIn("is there already and differs", ended.stderr)
        self.assertEqual(self.submit(self.old, self.input).returncode, 0)


class MixedVersions(UpdateCase):
    def test_code_for_a_later_engine_is_run_by_those_that_have_it(self):
        self.begin(["w1"])
        self.cluster.start_worker("w2", environment=LATER_ENGINE)
        wait_for(lambda: set(self.cluster.owners("sums")) == {"w1", "w2"}, "both have partitions")
        self.cluster.run("update", self.new, environment=LATER_ENGINE)
        self.assertEqual(set(self.cluster.owners("sums")), {"w2"})
        self.feed.write(self.share)
        self.cluster.kill_worker("w2")
        wait_for(lambda: "step version" in self.cluster.status("sums")["reason"], "who is left says why it cannot run it")
        self.cluster.start_worker("w2", environment=LATER_ENGINE)
        self.finish(LATER_ENGINE)
        self.check_each_record_counted_once_under_one_version()
        refused = self.cluster.try_run("verify", "sums")
        assert_one_line(self, refused, FAILED)
        self.assertIn("step version 2", refused.stderr)


if __name__ == "__main__":
    unittest.main()
