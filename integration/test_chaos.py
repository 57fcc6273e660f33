"""`coordinator chaos`: a short run has a good verdict, a defect has a bad one and leaves everything in a folder."""

import json
import os
import pathlib
import shutil
import tempfile
import unittest

from cluster import NATS_SERVER, Cluster, coordinator

USAGE, FAILED, NO_SUCH_THING = 2, 1, 3
RUN_SECONDS = 300


def chaos(*arguments, defect=None):
    folder_of_server = os.path.dirname(NATS_SERVER)
    environment = {"NATS_URL": "", "MILLRACE_DEFECT": defect or "", "PATH": f"{folder_of_server}:{os.environ['PATH']}"}
    return coordinator("chaos", *arguments, environment=environment, timeout=RUN_SECONDS)


class ChaosTest(unittest.TestCase):
    def test_a_short_run_is_good_and_says_what_it_covered(self):
        done = chaos("--preset", "quick", "--seed", "7", "-o", "json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        verdict = json.loads(done.stdout)
        self.assertEqual((verdict["verdict"], verdict["seed"], verdict["folder"]), ("good", 7, None))
        self.assertEqual([rule["number"] for rule in verdict["rules"]], list(range(1, 11)))
        for rule in verdict["rules"]:
            self.assertGreater(rule["checked"], 0, rule)
        # Of three jobs that are fed alike one has two segments, and a label for a record in each.
        self.assertEqual(verdict["covered"]["labels"], verdict["covered"]["records"] / 3 * 4)
        self.assertEqual(len(verdict["timeline"]), 4)
        self.assertIn("kill worker-1 at in_commit:27", done.stderr)

    def test_a_defect_is_broken_and_everything_is_kept(self):
        done = chaos("--preset", "quick", "--seed", "7", "-o", "json", defect="replay_from_offset_plus_2")
        self.assertEqual(done.returncode, FAILED, done.stderr)
        verdict = json.loads(done.stdout)
        self.assertEqual((verdict["verdict"], verdict["defect"]), ("broken", "replay_from_offset_plus_2"))
        folder = pathlib.Path(verdict["folder"])
        self.addCleanup(shutil.rmtree, folder)
        for name in ("plan.json", "scenario.yaml", "verdict.json", "ledger-lua.jsonl", "ledger-native.yaml", "logs/worker-1.log",
                     "streams/mr-ledger-lua-0-0.jsonl", "streams/mr-ledger-native-out-3.jsonl"):
            self.assertGreater((folder / name).stat().st_size, 0, name)
        self.assertEqual(json.loads((folder / "verdict.json").read_text()), verdict)

    def test_three_brokers_without_their_majority_and_a_full_disk(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("name: three\ncluster: { brokers: 3, lease: 15s, recovery: 60s }\n"
                       "load: { rate: 500, duration: 10s, partitions: 2, keys: 100 }\n"
                       "faults:\n  - { kind: full_disk, when: 1s, duration: 2s }\n  - { kind: step_down, when: 2s }\n"
                       "  - { kind: kill_broker, brokers: 2, when: 5s, duration: 2s }\n")
            file.flush()
            done = chaos(file.name, "--seed", "3", "-o", "json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout)["covered"]["with_effect"], {"full_disk": 1, "kill_broker": 1, "step_down": 1})

    def test_workers_of_two_releases_side_by_side(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("name: releases\ncluster: { workers: 2, lease: 2s }\nload: { rate: 500, duration: 12s, partitions: 2, keys: 100 }\n"
                       "faults:\n  - { kind: upgrade, when: 1s }\n  - { kind: kill, when: 10s }\n")
            file.flush()
            done = chaos(file.name, "--seed", "3", "-o", "json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        verdict = json.loads(done.stdout)
        self.assertEqual(verdict["covered"]["with_effect"], {"kill": 1, "upgrade": 1})
        self.assertIn("2 jobs got new code when 1 were new", verdict["timeline"][0]["effect"])

    def test_a_cluster_that_is_there(self):
        with Cluster(workers=["w1"]) as cluster:
            cluster.wait_ready("w1")
            scenario = cluster.write("mine.yaml", "name: mine\nload: { rate: 500, duration: 4s, partitions: 2 }\n"
                                     "faults: [ { kind: repeat_frame, when: 1s }, { kind: kill_ingest, when: 2s } ]\n")
            done = chaos(scenario, "--nats", cluster.nats.url, "-o", "json")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(cluster.json("jobs"), [], "the ledgers do not stay")
            refused = chaos("--preset", "kills", "--nats", cluster.nats.url)
            self.assertEqual(refused.returncode, FAILED)
            self.assertIn("`kill` cannot be done to a cluster that runs elsewhere", refused.stderr)


class ChaosCommand(unittest.TestCase):
    """Without a cluster."""

    def test_the_same_seed_gives_the_same_plan(self):
        first, again, other = (json.loads(chaos("--preset", "mix", "--plan", "--seed", seed, "-o", "json").stdout) for seed in "112")
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)

    def test_presets_are_listed_and_printed(self):
        presets = [row["preset"] for row in json.loads(chaos("--list", "-o", "json").stdout)]
        self.assertIn("kills", presets)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(chaos("--show", "kills").stdout)
            file.flush()
            plans = [chaos(*which, "--plan", "--seed", "3").stdout for which in ((file.name,), ("--preset", "kills"))]
            self.assertEqual(*plans)

    def test_what_is_wrong_is_said_in_one_line(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("name: x\nfaults:\n  - { kind: kil }\n")
            file.flush()
            for arguments, code, says in [
                    ((file.name,), USAGE, f"{file.name}:3:13: "),
                    (("--preset", "kils"), NO_SUCH_THING, "did you mean `kills`?"),
                    ((), USAGE, "--preset NAME"),
                    (("no-such.yaml",), USAGE, "cannot be read"),
                    (("--preset", "kills", "--kills", "0"), USAGE, "--kills 0"),
                    (("--preset", "broker", "--kills", "5"), FAILED, "kills nobody"),
                    (("--preset", "broker", "--duration", "3s"), USAGE, "--duration 3s"),
                    (("--preset", "kills", "--seed", "-1"), USAGE, "--seed -1")]:
                with self.subTest(arguments):
                    done = chaos(*arguments)
                    self.assertEqual(done.returncode, code, done.stderr)
                    self.assertIn(says, done.stderr)
                    self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
