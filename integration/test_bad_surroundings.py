"""Brokers, folders and streams that are not as they should be: said loudly, and nothing is skipped in silence."""

import contextlib
import pathlib
import shutil
import subprocess
import unittest

import nats_client
import scenario
from cluster import BIN, NATS_SERVER, Cluster, NatsServer, Process, free_port, wait_for
from command_case import CANNOT_CONNECT, FAILED, USAGE, assert_one_line


def partition_of(key):
    """FNV-1a, 32 bits, modulo the number of partitions."""
    digest = 2166136261
    for byte in key.encode():
        digest = (digest ^ byte) * 16777619 % (1 << 32)
    return digest % scenario.PARTITIONS


def setUpModule():
    scenario.announce("bad surroundings")


class BrokerWithoutJetStream(unittest.TestCase):
    def test_is_named_in_one_line(self):
        with Cluster() as cluster:
            port = free_port()
            plain = Process([NATS_SERVER, "-a", "127.0.0.1", "-p", port], cluster.folder / "plain.log")
            cluster.others.append(plain)
            where = {"NATS_URL": f"nats://127.0.0.1:{port}"}
            done = wait_for(lambda: (d := cluster.try_run("jobs", environment=where)).returncode != CANNOT_CONNECT and d, "it listens")
            assert_one_line(self, done, FAILED)
            self.assertIn("JetStream", done.stderr)
            worker = subprocess.run([str(BIN / "worker"), "--nats", where["NATS_URL"], "--data", str(cluster.folder / "w")],
                                    capture_output=True, text=True, timeout=60)
            assert_one_line(self, worker, FAILED)
            self.assertIn("JetStream", worker.stderr)
            doctor = cluster.try_run("doctor", environment=where)
            self.assertEqual(doctor.returncode, FAILED)
            self.assertIn("JetStream", doctor.stdout)


class Encryption(unittest.TestCase):
    def test_that_is_asked_for_is_not_done_without(self):
        with Cluster() as cluster:
            address = cluster.nats.url.replace("nats://", "tls://")
            refused = cluster.try_run("jobs", "--nats", address)
            assert_one_line(self, refused, CANNOT_CONNECT)
            self.assertIn("TLS is asked for, and the server has none", refused.stderr)

    def test_with_a_certificate_of_ones_own(self):
        if shutil.which("openssl") is None:
            self.skipTest("NOT TESTED: there is no openssl here")
        with Cluster() as cluster:
            key, certificate = cluster.folder / "key.pem", cluster.folder / "cert.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
                            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
            server = NatsServer(cluster.folder / "secure", f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}\n')
            self.addCleanup(server.kill)
            address = server.url.replace("nats://", "tls://")
            self.assertEqual(cluster.run("jobs", "--nats", address, "--tls-ca", certificate, "-o", "json").stdout.strip(), "[]")
            plain = cluster.try_run("jobs", "--nats", server.url)
            assert_one_line(self, plain, CANNOT_CONNECT)
            self.assertIn("the server wants TLS", plain.stderr)

    def test_files_that_cannot_be_read(self):
        with Cluster() as cluster:
            for flags in (["--creds", "no-such"], ["--tls-ca", "no-such"], ["--tls-cert", "no-such", "--tls-key", "no-such"]):
                with self.subTest(flags):
                    refused = cluster.try_run("jobs", *flags)
                    assert_one_line(self, refused, USAGE)
                    self.assertIn(f"{flags[0]} no-such", refused.stderr)


class Folders(unittest.TestCase):
    """The data folder of a worker."""

    def worker(self, cluster, folder, *flags):
        return subprocess.run([str(BIN / "worker"), "--nats", cluster.nats.url, "--name", "other", "--data", str(folder), *flags],
                              capture_output=True, text=True, timeout=60)

    def mount(self, cluster, name, options):
        """A small file system of its own, unmounted at the end of the test."""
        folder = cluster.folder / name
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"NOT TESTED: no right to mount a file system here ({done.stderr.strip()})")
        self.addCleanup(subprocess.run, ["umount", "-l", str(folder)], check=True)
        return folder

    def test_held_by_another_worker(self):
        with Cluster(workers=["w1"]) as cluster:
            cluster.wait_ready("w1")
            done = self.worker(cluster, cluster.folder / "w1")
            assert_one_line(self, done, FAILED)
            self.assertIn(str(cluster.workers["w1"].pid), done.stderr)

    def test_is_a_file(self):
        with Cluster() as cluster:
            assert_one_line(self, self.worker(cluster, cluster.write("file", "")), USAGE)

    def test_read_only(self):
        cluster = self.enterContext(Cluster())
        folder = self.mount(cluster, "fixed", "ro,size=1m")
        done = self.worker(cluster, folder)
        assert_one_line(self, done, FAILED)
        self.assertIn("Read-only", done.stderr)

    def fill_until_a_partition_stops(self, cluster, folder):
        """A job under way, and a disk that fills up. Returns the job and what fills the disk. A partition that is opened again gives
        back what its database had kept for its files: that is taken, too."""
        run = scenario.LedgerRun(cluster, "native")
        run.begin()
        run.share(0.3)
        cluster.wait_records(run.name, run.feed.written)
        ballast = folder / "ballast"

        def said_to_be_full():
            with contextlib.suppress(OSError), open(ballast, "ab", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            if run.feed.written < run.records * 0.9:
                run.feed.write(20)  # a partition that has nothing to write finds nothing wrong
            return "No space left" in cluster.status(run.name)["reason"]
        said_to_be_full()
        wait_for(said_to_be_full, "the job says what is wrong")
        return run, ballast

    def test_full(self):
        """The partition stops with the error; another worker, with room, brings the job to its end."""
        cluster = self.enterContext(Cluster())
        folder = self.mount(cluster, "w1", "size=64m")
        cluster.start_worker("w1")
        run, _ = self.fill_until_a_partition_stops(cluster, folder)
        cluster.workers["w1"].kill()
        cluster.start_worker("w2")
        run.finish_and_check()

    def test_full_for_a_while(self):
        """With room again the partition goes on by itself: no restart, nobody else."""
        cluster = self.enterContext(Cluster())
        folder = self.mount(cluster, "w1", "size=64m")
        worker = cluster.start_worker("w1")
        run, ballast = self.fill_until_a_partition_stops(cluster, folder)
        ballast.unlink()
        run.finish_and_check()
        self.assertTrue(worker.running())
        self.assertIs(cluster.workers["w1"], worker)


class Streams(unittest.TestCase):
    """Streams that are somebody else's, or not what the state stands on."""

    def test_somebody_elses_stream_under_our_name(self):
        with Cluster(workers=["w1"]) as cluster, nats_client.NatsClient(cluster.nats.url) as nats:
            run = scenario.LedgerRun(cluster, "native", "taken", records=200)
            nats.api("STREAM.CREATE.mr-taken-0-3", {"name": "mr-taken-0-3", "subjects": ["orders.>"], "storage": "file"})
            done = cluster.try_run("submit", run.job_file, "--input", run.input_file)
            assert_one_line(self, done, FAILED)
            self.assertIn("mr-taken-0-3", done.stderr)
            self.assertEqual(cluster.json("jobs"), [])
            nats.api("STREAM.DELETE.mr-taken-0-3")
            cluster.run("submit", run.job_file, "--input", run.input_file)
            run.finish_and_check()

    def test_somebody_elses_stream_with_our_subject(self):
        with Cluster() as cluster, nats_client.NatsClient(cluster.nats.url) as nats:
            run = scenario.LedgerRun(cluster, "native", "taken", records=200)
            nats.api("STREAM.CREATE.audit", {"name": "audit", "subjects": ["mr.taken.0.>"], "storage": "file"})
            assert_one_line(self, cluster.try_run("submit", run.job_file, "--input", run.input_file), FAILED)
            self.assertEqual(cluster.json("jobs"), [])
            self.assertEqual(nats.api("STREAM.NAMES", {"subject": "mr.taken.>"})["streams"], ["audit"])

    def committed_half(self, cluster):
        run = scenario.LedgerRun(cluster, "native")
        run.begin()
        run.share(0.5)
        wait_for(lambda: all(row["committed_offset"] == row["end"] > 0 for row in cluster.json("partitions", run.name)), "all is committed")
        return run

    def assert_only_partition_stops(self, cluster, run, partition, reason):
        def stopped():
            rows = cluster.json("partitions", run.name)
            states = {row["partition"]: row["state"] for row in rows}
            if states.pop(partition) == "stopped" and set(states.values()) == {"running"}:
                return next(row["reason"] for row in rows if row["partition"] == partition)
            return None
        said = wait_for(stopped, f"partition {partition} stops, the others run")
        self.assertIn(reason, said)
        status = cluster.status(run.name)
        self.assertIn(f"partition {partition}", status["reason"])

    def test_made_anew_under_the_state(self):
        with Cluster(workers=["w1"]) as cluster, nats_client.NatsClient(cluster.nats.url) as nats:
            run = self.committed_half(cluster)
            cluster.kill_worker("w1")
            stream = f"mr-{run.name}-0-2"
            config = nats.api(f"STREAM.INFO.{stream}")["config"]
            nats.api(f"STREAM.DELETE.{stream}")
            nats.api(f"STREAM.CREATE.{stream}", config)
            cluster.start_worker("w1")
            self.assert_only_partition_stops(cluster, run, 2, "made anew")

    def test_rolled_back_under_the_state(self):
        with Cluster(workers=["w1"]) as cluster:
            run = self.committed_half(cluster)
            stored = pathlib.Path(cluster.nats.folder) / "store/jetstream/$G/streams" / f"mr-{run.name}-0-2"
            cluster.nats.kill()
            shutil.copytree(stored, cluster.folder / "older")
            cluster.nats.start()
            run.share(0.3)
            wait_for(lambda: all(row["committed_offset"] == row["end"] for row in cluster.json("partitions", run.name))
                     and cluster.status(run.name)["records_in"] >= run.feed.written, "more is committed")
            cluster.kill_worker("w1")
            cluster.nats.kill()
            shutil.rmtree(stored)
            shutil.copytree(cluster.folder / "older", stored)
            cluster.nats.start()
            cluster.start_worker("w1")
            self.assert_only_partition_stops(cluster, run, 2, "rolled back")

    def test_a_strangers_message_is_a_record(self):
        with Cluster(workers=["w1"]) as cluster, nats_client.NatsClient(cluster.nats.url) as nats:
            run = scenario.LedgerRun(cluster, "native", records=200)
            run.begin()
            run.share(0.5)
            cluster.wait_records(run.name, run.feed.written)
            here, elsewhere = (next(key for key in map("stranger-{}".format, range(100)) if (partition_of(key) == 0) == is_here)
                               for is_here in (True, False))
            for payload in (f'{{"k":"{here}","seq":1}}', f'{{"k":"{elsewhere}","seq":1}}', "no record at all"):
                nats.publish(f"mr.{run.name}.0.0", payload.encode())
            run.feed.finish()
            cluster.wait_state(run.name, "completed")
            values = [line["value"] for line in cluster.results(run.name, "--key", here)]
            self.assertEqual(values, [{"count": 1, "sum": 1, "last": 1}])
            self.assertEqual(len(cluster.json("dead-letters", "list", run.name)), 2)


if __name__ == "__main__":
    unittest.main()
