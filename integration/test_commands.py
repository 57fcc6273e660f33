"""What the commands print: both output forms, the fields that scripts rely on."""

import json
import os
import signal
import subprocess
import unittest

from cluster import BIN, coordinator, free_port
from command_case import DONE, FAILED, INTERRUPTED, NO_SUCH_THING, RECORDS, USAGE, CommandCase, records

STATUS = ("job state reason records_in records_out dead_letters lag_records oldest_ms started ended segments").split()
PARTITION = ("segment partition owner epoch offset end lag_records oldest_ms committed_ms_ago checkpoint_offset state_keys "
             "state_bytes state").split()
WORKER = "name incarnation pid host lanes partitions state cpu memory_bytes lease_ms_left version".split()
RESULT = ["key", "value", "partition", "offset", "index"]


class CommandTest(CommandCase):
    def table(self, *arguments):
        """The heads and the number of rows of what the command prints for people."""
        lines = self.cluster.run(*arguments).stdout.splitlines()
        return lines[0].split(), len(lines) - 1

    # --- views

    def test_jobs(self):
        jobs = {row["job"]: row for row in self.cluster.json("jobs")}
        self.assertEqual(jobs["done"]["state"], "completed")
        heads, rows = self.table("jobs")
        self.assertEqual((heads[0], rows), ("JOB", len(jobs)))

    def test_status_of_a_completed_job(self):
        status = self.cluster.status("done")
        self.assertLessEqual(set(STATUS), set(status))
        self.assertEqual([status[f] for f in ("job", "state", "records_in", "records_out", "dead_letters", "lag_records")],
                         ["done", "completed", RECORDS, RECORDS - 1, 1, 0])
        self.assertIn("completed", self.cluster.run("status", "done").stdout)

    def test_status_watched_ends_with_the_job(self):
        lines = self.cluster.run("status", "done", "--watch", "-o", "json").stdout.splitlines()
        self.assertEqual([json.loads(line)["state"] for line in lines], ["completed"])

    def test_partitions(self):
        rows = self.cluster.json("partitions", "done")
        self.assertEqual([row["partition"] for row in rows], [0, 1, 2])
        for row in rows:
            self.assertLessEqual(set(PARTITION), set(row))
        heads, count = self.table("partitions", "done")
        self.assertEqual((heads[:2], count), (["SEGMENT", "PARTITION"], 3))

    def test_workers(self):
        row, = self.cluster.json("workers")
        self.assertLessEqual(set(WORKER), set(row))
        self.assertEqual((row["name"], row["state"], row["pid"]), ("w1", "ready", self.cluster.workers["w1"].pid))
        heads, count = self.table("workers")
        self.assertEqual((heads[0], count), ("NAME", 1))

    # --- results

    def test_results_in_label_order(self):
        lines = self.cluster.results("done")
        self.assertEqual(len(lines), RECORDS - 1)
        for line in lines:
            self.assertLessEqual(set(RESULT), set(line))
        labels = [(line["partition"], line["offset"], line["index"]) for line in lines]
        self.assertEqual(labels, sorted(set(labels)))

    def test_results_latest_of_each_key(self):
        latest = {line["key"]: line["value"]["n"] for line in self.cluster.results("done", "--latest")}
        expected = {f"key-{k}": len(range(k, RECORDS, 7)) for k in range(7)}
        expected[f"key-{1000 % 7}"] -= 1
        self.assertEqual(latest, expected)

    def test_results_latest_as_csv_have_the_columns_of_the_first_that_is_kept(self):
        lines = self.cluster.run("results", "done", "--latest", "-o", "csv").stdout.splitlines()
        latest = self.cluster.results("done", "--latest")
        self.assertEqual(lines[0], "key,n,last,partition,offset,index,time")
        self.assertEqual([line.split(",")[:3] for line in lines[1:]],
                         [[line["key"], str(line["value"]["n"]), str(line["value"]["last"])] for line in latest])

    def test_results_of_the_empty_key(self):
        self.assertEqual(self.cluster.results("done", "--key", ""), [])

    def test_results_chosen(self):
        everything = self.cluster.results("done")
        partition = everything[0]["partition"]
        of_partition = [line for line in everything if line["partition"] == partition]
        offset = of_partition[-1]["offset"]
        self.assertEqual(self.cluster.results("done", "--key", "key-3"), [line for line in everything if line["key"] == "key-3"])
        self.assertEqual(self.cluster.results("done", "--partition", partition), of_partition)
        self.assertEqual(self.cluster.results("done", "--partition", partition, "--from", offset),
                         [line for line in of_partition if line["offset"] >= offset])

    def test_results_as_csv_and_raw(self):
        csv = self.cluster.run("results", "done", "-o", "csv").stdout.splitlines()
        self.assertEqual((csv[0], len(csv)), ("key,n,last,partition,offset,index,time", RECORDS))
        raw = self.cluster.run("results", "done", "-o", "raw").stdout.splitlines()
        self.assertEqual([json.loads(line) for line in raw], [line["value"] for line in self.cluster.results("done")])

    def test_results_followed_end_with_the_job(self):
        followed = self.cluster.run("results", "done", "--follow", "-o", "jsonl").stdout.splitlines()
        self.assertEqual(sorted(followed), sorted(self.cluster.run("results", "done", "-o", "jsonl").stdout.splitlines()))

    # --- dead letters, state, verify

    def test_dead_letters(self):
        letter, = self.cluster.json("dead-letters", "list", "done")
        self.assertEqual((letter["value"]["seq"], letter["stage"], letter["attempts"]), (1000, "check", 1))
        self.assertIn("a bad record", letter["error"])
        shown = json.loads(self.cluster.run("dead-letters", "show", letter["id"], "done").stdout)
        self.assertEqual(shown, letter)
        self.assertEqual(self.table("dead-letters", "list", "done")[1], 1)
        self.assert_fails(NO_SUCH_THING, "dead-letters", "show", "0.0.99999.0", "done")

    def test_state_of_a_completed_job(self):
        row = json.loads(self.cluster.run("state", "get", "done", "key-3").stdout)
        self.assertEqual((row["key"], row["value"]["n"]), ("key-3", len(range(3, RECORDS, 7))))
        rows = [json.loads(line) for line in self.cluster.run("state", "scan", "done", "--prefix", "key-").stdout.splitlines()]
        self.assertEqual(sorted(row["key"] for row in rows), [f"key-{k}" for k in range(7)])
        self.assertEqual(len(self.cluster.run("state", "scan", "done", "--limit", "2").stdout.splitlines()), 2)
        heads, count = self.table("state", "scan", "done", "-o", "table")
        self.assertEqual((heads, count), (["KEY", "VALUE", "SEGMENT", "PARTITION", "OFFSET"], 7))
        absent = self.cluster.try_run("state", "get", "done", "no-such-key")
        self.assertEqual((absent.returncode, absent.stdout), (NO_SUCH_THING, ""))
        self.assertIn("no-such-key", absent.stderr.splitlines()[-1])

    def test_verify_says_what_it_covered(self):
        said = self.cluster.run("verify", "done")
        self.assertIn(str(RECORDS), (said.stdout + said.stderr).replace(",", ""))

    # --- replay

    def partition_of(self, key):
        return json.loads(self.cluster.run("state", "get", "done", key).stdout)["partition"]

    def test_replay_shows_the_state_before_and_after_each_record(self):
        steps = [s for s in self.cluster.json("replay", "done", "--partition", self.partition_of("key-3"), "--key", "key-3")
                 if s["kind"] == "record"]
        self.assertEqual([s["value"]["seq"] for s in steps], list(range(3, RECORDS, 7)))
        before = None
        for n, step in enumerate(steps, 1):
            self.assertEqual((step["before"], step["after"]["n"]), (before, n))
            self.assertEqual([e["value"] for e in step["emitted"]], [step["after"]])
            before = step["after"]
        emitted = [e for s in steps for e in s["emitted"]]
        self.assertEqual(emitted, [r for r in self.cluster.results("done") if r["key"] == "key-3"])

    def test_replay_shows_what_a_bad_record_left_alone(self):
        key = f"key-{1000 % 7}"
        letter, = self.cluster.json("dead-letters", "list", "done")
        step, = [s for s in self.cluster.json("replay", "done", "--partition", letter["partition"], "--key", key)
                 if s["dead_letters"]]
        self.assertEqual((step["offset"], step["index"], step["before"]), (letter["offset"], letter["record"], step["after"]))
        self.assertEqual(step["dead_letters"], [{f: letter[f] for f in ("stage", "error", "attempts")}])

    def test_replay_from_an_offset_has_the_state_of_all_before(self):
        partition = self.partition_of("key-3")
        whole = self.cluster.json("replay", "done", "--partition", partition)
        middle = whole[len(whole) // 2]["offset"]
        some = self.cluster.json("replay", "done", "--partition", partition, "--from", middle, "--to", middle)
        self.assertEqual(some, [s for s in whole if s["offset"] == middle])
        shown = self.cluster.run("replay", "done", "--partition", partition, "--from", middle, "--to", middle)
        self.assertIn("state   {", shown.stdout)
        self.assertIn(f"{len(some)} steps shown", shown.stderr)

    def test_replay_refuses_what_is_not_there(self):
        self.assertIn("--partition", self.assert_fails(USAGE, "replay", "done"))
        self.assertIn("0 to 2", self.assert_fails(USAGE, "replay", "done", "--partition", "3"))
        self.assertIn("segment", self.assert_fails(USAGE, "replay", "done", "--partition", "0", "--segment", "1"))

    def test_replay_is_interrupted(self):
        """Nobody reads what it prints, so it is still at it."""
        replay = subprocess.Popen([str(BIN / "coordinator"), "replay", "done", "--partition", str(self.partition_of("key-3")),
                                   "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env={**os.environ, "NATS_URL": self.cluster.nats.url})
        with replay, replay.stdout as printed:
            self.assertEqual(printed.read(1), b"[")
            replay.send_signal(signal.SIGINT)
            self.assertEqual(replay.wait(30), INTERRUPTED)

    # --- files, without a cluster

    def test_plan_needs_no_cluster(self):
        planned = coordinator("plan", "--rate", "700000", "--time", "10us", "--lanes", "4", "-o", "json")
        self.assertEqual(json.loads(planned.stdout), {"busy_lanes": 7.0, "lanes": 10, "workers": 3, "concurrency": 10, "partitions": 12})
        self.assertEqual(coordinator("plan", "--rate", "700000").returncode, USAGE)

    def test_check_try_and_test_need_no_cluster(self):
        nowhere = {"NATS_URL": f"nats://127.0.0.1:{free_port()}"}
        self.assertEqual(coordinator("check", self.job_file, environment=nowhere).returncode, DONE)
        tried = coordinator("try", self.job_file, "--input", self.input_file, environment=nowhere)
        self.assertEqual(tried.returncode, DONE, tried.stderr)
        self.assertEqual(len(tried.stdout.splitlines()), RECORDS - 1)
        self.assertEqual(coordinator("test", self.job_file, environment=nowhere).returncode, DONE)
        wrong = coordinator("test", self.write_job("wrong", second=3), environment=nowhere)
        self.assertEqual(wrong.returncode, FAILED)
        self.assertIn("3", wrong.stdout + wrong.stderr)

    def test_submit_is_refused_for_another_file_or_input(self):
        again = self.cluster.run("submit", self.job_file, "--input", self.input_file)
        self.assertIn("nothing to do", again.stderr)
        other_file = self.cluster.write("other.yaml", self.job_file.read_text().replace("partitions: 3", "partitions: 4"))
        self.assertIn("partitions", self.assert_fails(FAILED, "submit", other_file, "--input", self.input_file))
        other_input = self.cluster.write("other.jsonl", "".join(list(records())[:-1]))
        self.assertIn("input", self.assert_fails(FAILED, "submit", self.job_file, "--input", other_input))


if __name__ == "__main__":
    unittest.main()
