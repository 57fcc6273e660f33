"""A release from its installation to its end, in this order: each test goes on where the one before has left it."""

import os
import random
import sys
import time
import unittest

import yaml

import flights
import release

sys.path.insert(0, str(release.ROOT / "integration/chart"))
import chart  # noqa: E402

SEED = int(os.environ.get("MILLRACE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
DELETIONS = int(os.environ.get("MILLRACE_DELETIONS", "6"))
RATE = 500


def values():
    base = {
        "image": {**release.image_values(os.environ["MILLRACE_IMAGE"]), "pullPolicy": "IfNotPresent"},
        "nats": {"enabled": True, "storage": "2Gi"},
        "coordinator": {"leaseTtl": "5s"},
        "workers": {"replicas": 2, "minReadySeconds": 3, "drainTimeoutSeconds": 20,
                    "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "768Mi"}},
                    "storage": {"size": "1Gi"}, "checkpoints": {"url": "objects:checkpoints", "interval": "5s"}},
        "submit": {"timeoutSeconds": 60},
    }
    if os.environ.get("MILLRACE_NATS_IMAGE"):
        base["nats"]["image"] = release.image_values(os.environ["MILLRACE_NATS_IMAGE"])
    extra = flights.volumes()
    base["coordinator"].update(extra["coordinator"])
    return {**base, "extraObjects": extra["extraObjects"]}


class ReleaseTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        cls.random = random.Random(SEED)
        cls.mill = cls.enterClassContext(release.Release(f"millrace-{os.getpid()}", values()))
        began = time.monotonic()
        notes = cls.mill.install()
        print(f"installed and ready after {time.monotonic() - began:.0f} s", flush=True)
        assert "coordinator doctor" in notes

    def all_ready(self, workers=2):
        return len(self.mill.ready("worker")) == workers and len(self.mill.ready("coordinator")) == 2

    def test_0_pods_have_no_rights(self):
        for of in ("deploy/mill-millrace-coordinator", "sts/mill-millrace-worker"):
            with self.subTest(of):
                def in_pod(*command, of=of):
                    return release.run("kubectl", "-n", self.mill.namespace, "exec", of, "--", *command)

                self.assertEqual(in_pod("id", "-u").stdout, "10001\n")
                self.assertEqual(in_pod("find", "/", "-xdev", "-type", "f", "-perm", "/6000").stdout, "", "they run as somebody else")
                self.assertIn("ro", in_pod("grep", " / ", "/proc/mounts").stdout.split()[3].split(","), "the root can be written to")
                self.assertNotEqual(in_pod("ls", "/var/run/secrets/kubernetes.io").returncode, 0, "a token of Kubernetes")
                bounding = in_pod("grep", "CapBnd", "/proc/1/status").stdout.split()
                self.assertEqual(int(bounding[1], 16), 0, "capabilities")

    def test_1_every_object_is_taken_by_the_api_server(self):
        for file in chart.VALUES:
            with self.subTest(file.name):
                objects = [o for o in chart.render(file) if not o["apiVersion"].startswith("monitoring.coreos.com/")]
                for thing in objects:
                    thing["metadata"].pop("namespace", None)
                    if thing["kind"] == "Pod":
                        thing["spec"]["serviceAccountName"] = "default"  # its own is not there: nothing is made
                done = release.run("kubectl", "-n", self.mill.namespace, "apply", "--dry-run=server", "-f", "-",
                                   stdin=yaml.safe_dump_all(objects))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertNotIn("violate", done.stderr, "pods are not as the restricted standard asks")

    def test_2_helm_test_runs_a_job(self):
        self.assertIn("Succeeded", self.mill.helm("test", self.mill.name, "--timeout", "300s"))
        self.assertEqual(self.mill.json("jobs"), [], "it takes its job away")

    def test_3_pods_deleted_under_load_lose_nothing(self):
        began = time.monotonic()
        with flights.Load(self.mill, "deletions", RATE) as load:
            load.wait_flowing()
            for i in range(DELETIONS):
                victims = self.mill.pods("worker") + (self.mill.pods("coordinator") if i % 3 == 2 else [])
                victim = self.random.choice(victims)["metadata"]["name"]
                grace = self.random.choice([["--grace-period=0", "--force"], []])
                self.mill.kubectl("delete", "pod", victim, "--wait=false", *grace)
                print(f"{time.monotonic() - began:5.0f} s  {load.fed:6} fed  deleted {victim} {' '.join(grace)}", flush=True)
                time.sleep(self.random.uniform(2, 8))
                release.wait_for(self.all_ready, "all pods are ready again")
            load.finish()
            epochs = load.check(self)
        self.assertGreater(max(epochs), 1, "no partition changed its owner: the deletions had no effect")

    def test_4_upgrade_and_rollback_under_load(self):
        with flights.Load(self.mill, "upgrades", RATE) as load:
            load.wait_flowing()
            for what, change in (("upgrade", lambda: self.mill.upgrade("workers.logLevel=debug", "coordinator.logLevel=debug")),
                                 ("rollback", lambda: self.mill.helm("rollback", self.mill.name, "--wait", "--timeout", "300s"))):
                before = {**self.mill.uids("worker"), **self.mill.uids("coordinator")}
                began, fed = time.monotonic(), load.fed
                change()
                release.wait_for(self.all_ready, "all pods are ready again")
                after = {**self.mill.uids("worker"), **self.mill.uids("coordinator")}
                self.assertEqual(set(before.values()) & set(after.values()), set(), "a pod was not replaced")
                print(f"{what}: {time.monotonic() - began:.0f} s, {load.fed - fed} flights fed meanwhile", flush=True)
            load.finish()
            load.check(self)

    def test_5_nats_away_restarts_nobody(self):
        before = self.mill.restarts()
        self.mill.kubectl("scale", "statefulset/mill-millrace-nats", "--replicas=0")
        release.wait_for(lambda: not self.mill.ready("worker"), "workers without a lease are not ready")
        release.wait_for(lambda: not self.mill.pods("nats"), "NATS is gone")
        self.mill.kubectl("scale", "statefulset/mill-millrace-nats", "--replicas=1")
        release.wait_for(self.all_ready, "all are ready again")
        self.assertEqual(self.mill.restarts(), before)
        self.assertEqual(self.mill.json("status", "deletions")["state"], "completed")

    def test_6_jobs_of_the_values_are_made_and_brought_up_to_date(self):
        stages = "source: {format: jsonl, subject: orders.>}\nkey: user\npartitions: 2\nstages:\n  - aggregate: {n: count()}\n"
        old = self.mill.values
        try:
            for text, version in ((stages, 0), (stages, 0), (stages.replace("  - aggregate", "  - filter: r.n > 1\n  - aggregate"), 1)):
                self.mill.values = {**old, "jobs": {"orders": {"file": text}}}
                self.mill.upgrade()
                status = self.mill.json("status", "orders")
                self.assertEqual((status["state"], status["code"]), ("running", version))
            self.mill.values = {**old, "jobs": {"orders": {"file": "stages: [{ no_such_stage: 1 }]\n"}}}
            refused = self.mill.try_helm(*self.mill.upgrade_command())
            self.assertNotEqual(refused.returncode, 0, "a wrong job file was taken")
            self.assertEqual(self.mill.json("status", "orders")["code"], 1)
        finally:
            self.mill.values = old
        self.mill.helm("rollback", self.mill.name, "--wait", "--timeout", "300s")
        self.mill.coordinator("delete", "orders", "--yes")

    def test_7_more_and_fewer_workers(self):
        with flights.Load(self.mill, "scaled", RATE) as load:
            load.wait_flowing()
            self.mill.upgrade("workers.replicas=4")
            release.wait_for(lambda: len({row["owner"] for row in self.mill.json("partitions", "scaled")}) == 4, "four own partitions")
            self.mill.upgrade("workers.replicas=2")
            release.wait_for(lambda: len(self.mill.pods("worker")) == 2, "two workers are left")
            load.finish()
            load.check(self)
        self.assertEqual(len(self.mill.get("pvc", "-l", "app.kubernetes.io/component=worker")["items"]), 4, "volumes stay")

    def test_8_uninstalled_and_installed_again_it_goes_on(self):
        self.mill.helm("uninstall", self.mill.name, "--wait", "--timeout", "300s")
        release.wait_for(lambda: not any(map(self.mill.pods, ("worker", "coordinator", "nats"))), "all pods are gone")
        self.assertEqual(len(self.mill.get("pvc")["items"]), 5, "volumes stay")
        self.mill.install()
        self.assertEqual({job["job"] for job in self.mill.json("jobs")}, {"deletions", "upgrades", "scaled"})
        self.assertIn("differences   0", self.mill.coordinator("verify", "deletions"))


if __name__ == "__main__":
    unittest.main()
