"""A release whose NATS asks for certificates and credentials, and whose state is copied to S3."""

import collections
import json
import os
import re
import unittest

import flights
import release
import secured

RECORDS = 9000
PARTITIONS = 4
WORKER, OTHER = "mill-millrace-worker-0", "mill-millrace-worker-1"
CLAIM = f"data-{WORKER}"
# Slow enough that a worker is lost on the way, and some messages of each partition are done with before.
JOB = f"""\
source: {{format: jsonl}}
key: origin
partitions: {PARTITIONS}
stages:
  - rate_limit: {{rate: 200/s, burst: 200, per: stage, excess: wait}}
  - aggregate: {{flights: count(), total: sum(delay)}}
commit: {{interval: 500ms}}
"""


def values():
    of = secured.values()
    resources = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "768Mi"}}
    return {
        "image": {**release.image_values(os.environ["MILLRACE_IMAGE"]), "pullPolicy": "IfNotPresent"},
        "nats": of["nats"], "networkPolicy": of["networkPolicy"],
        "coordinator": {"leaseTtl": "5s"},
        "workers": {"replicas": 2, "minReadySeconds": 3, "resources": resources, "storage": {"size": "1Gi"}, "checkpoints": of["checkpoints"]},
        "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "input"},
                          "data": {"flights.jsonl": b"".join(flights.FLIGHTS[:RECORDS]).decode()}}],
        "jobs": {"slow": {"file": JOB, "input": ["/input/flights.jsonl"]}},
        "submit": {"timeoutSeconds": 120, "extraVolumes": [{"name": "input", "configMap": {"name": "input"}}],
                   "extraVolumeMounts": [{"name": "input", "mountPath": "/input"}]}}


class SecuredTest(unittest.TestCase):
    def setUp(self):
        image = os.environ.get("MILLRACE_S3_IMAGE")
        if not image:
            self.skipTest("NOT TESTED: certificates, credentials and S3 — MILLRACE_S3_IMAGE names no image of versitygw in that cluster")
        self.mill = self.enterContext(release.Release(f"millrace-secured-{os.getpid()}", values()))
        secured.prepare(self.mill, image)
        self.mill.install()

    def partitions(self):
        return self.mill.json("partitions", "slow")

    def test_each_role_does_its_work_and_a_lost_volume_is_restored_from_s3(self):
        without = release.run("kubectl", "-n", self.mill.namespace, "exec", "deploy/mill-millrace-coordinator", "--", "env", "-u", "MILLRACE_CONFIG",
                              "coordinator", "jobs", "--nats", "tls://nats:4222", "--tls-ca", "/etc/millrace/tls/ca.crt",
                              "--creds", "/etc/millrace/user/user.creds")
        self.assertEqual(without.returncode, 6, "NATS asks for a certificate, and this one shows none")

        release.wait_for(lambda: {row["owner"] for row in self.partitions()} == {WORKER, OTHER}, "both own")
        release.wait_for(lambda: all(row["checkpoint_offset"] for row in self.partitions()), "checkpoints of all partitions are in S3")
        volume = self.volume()
        self.mill.kubectl("delete", "pvc", CLAIM, "--wait=false")
        self.mill.kubectl("delete", "pod", WORKER, "--grace-period=0", "--force")
        self.assertEqual(self.mill.json("status", "slow")["state"], "running", "it was lost too late")
        self.check()
        self.assertNotEqual(self.volume(), volume, "it had its old volume")
        opened = re.findall(r'"partition opened".*"offset":(\d+)', self.mill.kubectl("logs", WORKER))
        self.assertTrue(any(int(offset) > 0 for offset in opened), "with an empty volume it opened nothing where a checkpoint stood")
        self.assertIn("Succeeded", self.mill.helm("test", self.mill.name, "--timeout", "300s"))

    def volume(self):
        return self.mill.get("pvc", CLAIM)["metadata"]["uid"]

    def check(self):
        wanted = collections.Counter(json.loads(line)["origin"] for line in flights.FLIGHTS[:RECORDS])
        release.wait_for(lambda: self.mill.json("status", "slow")["state"] == "completed", "the job completes")
        counted = collections.Counter()
        for line in self.mill.coordinator("results", "slow", "-o", "jsonl").splitlines():
            record = json.loads(line)
            counted[record["key"]] += 1
            self.assertEqual(record["value"]["flights"], counted[record["key"]], "lost, doubled or swapped")
        self.assertEqual(counted, wanted)


if __name__ == "__main__":
    unittest.main()
