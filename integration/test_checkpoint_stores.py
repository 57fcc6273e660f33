"""State comes back on a worker that never had it, from each kind of store; a store that goes away holds nothing up."""

import hashlib
import json
import os
import subprocess
import unittest

import scenario
from checkpoint_case import RESTORED, CheckpointRun, Directory, Objects, S3, build_go
from cluster import Cluster, wait_for


def setUpModule():
    scenario.announce("checkpoint stores")


class TakeOver(unittest.TestCase):
    """Another worker, with an empty data folder, goes on from the checkpoints."""

    def take_over(self, make_store, kind):
        with Cluster() as cluster:
            run = CheckpointRun(cluster, make_store(cluster), kind)
            run.begin_with_worker("w1")
            offsets = run.store_share(0.5)
            run.lose("w1")
            run.start_worker("w2")
            run.wait_opened("w2")
            self.assertEqual(run.said("w2", RESTORED), scenario.PARTITIONS)
            wait_for(lambda: [(row["owner"], row["checkpoint_offset"]) for row in run.rows()] == [("w2", offset) for offset in offsets],
                     "w2 says which checkpoints there are")
            run.finish_and_check()

    def test_from_a_directory(self):
        self.take_over(Directory, "native")
        self.take_over(Directory, "lua")

    def test_from_s3(self):
        self.take_over(S3, "native")

    def test_from_a_jetstream_object_store(self):
        self.take_over(Objects, "native")


class ThereAndBack(unittest.TestCase):
    def test_between_two_workers_again_and_again(self):
        """Each time with the newest state, whoever stored it; no more checkpoints than are to be kept."""
        with Cluster() as cluster:
            run = CheckpointRun(cluster, Directory(cluster), "lua", flags=["--checkpoint-keep", "2"])
            run.begin_with_worker("w1")
            for there, back in (("w1", "w2"), ("w2", "w1"), ("w1", "w2")):
                run.store_share(0.2)
                run.lose(there)
                run.start_worker(back)
                run.wait_opened(back)
            run.store_share(0.2)
            for partition in range(scenario.PARTITIONS):
                wait_for(lambda: len(run.store.manifests(partition)) == 2, "two checkpoints are kept")
            run.finish_and_check()


class TwoSegments(unittest.TestCase):
    """How far each partition had read of every writer before it, and its outputs had come behind it, is in its checkpoint."""

    def take_over_again_and_again(self, kind):
        with Cluster() as cluster:
            run = CheckpointRun(cluster, Directory(cluster), kind)
            run.begin_with_worker("w1")
            for there, back in (("w1", "w2"), ("w2", "w3"), ("w3", "w4")):
                run.store_share(0.2)
                run.share(0.05)  # on its way through both segments
                run.lose(there)
                run.start_worker(back)
                run.wait_opened(back)
                self.assertEqual(run.said(back, RESTORED), len(run.rows()))
            run.finish_and_check()

    def test_native(self):
        self.take_over_again_and_again("native-2")

    def test_lua(self):
        self.take_over_again_and_again("lua-2")


class StoreGoesAway(unittest.TestCase):
    def test_and_comes_back(self):
        with Cluster() as cluster:
            run = CheckpointRun(cluster, S3(cluster))
            run.begin_with_worker("w1")
            run.store_share(0.3)
            run.store.stop()
            run.share(0.3)
            cluster.wait_records(run.name, run.feed.written)  # nothing waits for the store
            wait_for(lambda: run.said("w1", "a checkpoint was not stored"), "it is said")
            run.store.start()
            run.wait_checkpoints()
            run.lose("w1")
            run.start_worker("w2")
            run.finish_and_check()
            self.assertEqual(run.said("w2", RESTORED), scenario.PARTITIONS)


class JobDeleted(unittest.TestCase):
    def test_takes_its_checkpoints_along(self):
        with Cluster() as cluster:
            run = CheckpointRun(cluster, Directory(cluster))
            run.begin_with_worker("w1")
            run.store_share(0.3)
            run.finish_and_check()
            cluster.run("delete", run.name, "--yes")
            wait_for(lambda: not any(files for _, _, files in os.walk(run.store.path)), "no checkpoint is left")


class OtherClients(unittest.TestCase):
    def test_the_go_client_reads_what_is_in_the_object_store(self):
        with Cluster() as cluster:
            reader = build_go(cluster.folder, "objects_client")
            if reader is None:
                self.skipTest("NOT TESTED: the Go client cannot be built here")
            run = CheckpointRun(cluster, Objects(cluster))
            run.begin_with_worker("w1")
            run.store_share(0.5)
            cluster.kill_worker("w1")
            read = subprocess.run([str(reader), cluster.nats.url, "checkpoints"], capture_output=True, text=True, timeout=60)
            self.assertEqual(read.returncode, 0, read.stderr)
            objects = {entry["name"]: entry for entry in map(json.loads, read.stdout.splitlines())}
            manifests = [entry for name, entry in objects.items() if "/manifests/" in name]
            self.assertGreaterEqual(len(manifests), scenario.PARTITIONS)
            for entry in manifests:
                line, seal = entry["text"].splitlines()
                self.assertEqual(seal, "sha256 " + hashlib.sha256(line.encode()).hexdigest())
                manifest = json.loads(line)
                folder = entry["name"].rsplit("/", 2)[0]
                for file in manifest["files"]:
                    stored = objects[f"{folder}/files/{file['object']}"]
                    self.assertEqual((stored["size"], stored["sha256"]), (file["bytes"], file["sha256"]))
            run.start_worker("w2")
            run.finish_and_check()


if __name__ == "__main__":
    unittest.main()
