"""What the chart makes of several values files: pods as the `restricted` standard asks, probes, names, selectors, settings."""

import re
import unittest

import chart

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
FLAG_SOURCES = ["worker/main.cc", "coordinator/cli/serve.cc", "coordinator/cli/command_submit.cc", "common/common_options.cc",
                "coordinator/cli/job_file.cc"]
# Containers that users bring are theirs.
OURS = ("coordinator", "worker", "nats", "submit", "test", "verify", "delete")


class EachValuesFile(unittest.TestCase):
    def each(self):
        for values in chart.VALUES:
            with self.subTest(values.name):
                yield chart.render(values)

    def each_pod(self):
        for objects in self.each():
            for name, labels, spec in chart.pods(objects):
                with self.subTest(name):
                    yield objects, labels, spec

    def test_pods_are_restricted(self):
        for _, _, spec in self.each_pod():
            self.assertTrue(spec["securityContext"]["runAsNonRoot"])
            self.assertGreater(spec["securityContext"]["runAsUser"], 0)
            self.assertEqual(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault")
            for key in ("hostNetwork", "hostPID", "hostIPC"):
                self.assertNotIn(key, spec)
            for container in chart.containers(spec):
                if container["name"] in OURS:
                    security = container["securityContext"]
                    self.assertIs(security["allowPrivilegeEscalation"], False)
                    self.assertIs(security["readOnlyRootFilesystem"], True)
                    self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
            for volume in spec["volumes"]:
                self.assertNotIn("hostPath", volume)

    def test_pods_have_no_token_and_no_variables_of_services(self):
        for _, _, spec in self.each_pod():
            self.assertIs(spec["automountServiceAccountToken"], False)
            self.assertIs(spec["enableServiceLinks"], False, "a service called millrace makes MILLRACE_PORT, and flags are read from there")

    def test_images_have_a_tag_that_stays(self):
        for _, _, spec in self.each_pod():
            for container in chart.containers(spec):
                self.assertRegex(container["image"], r"(:[^:/]+|@sha256:[0-9a-f]{64})$")
                self.assertNotRegex(container["image"], r":latest$")

    def test_pods_need_no_shell(self):
        for _, _, spec in self.each_pod():
            for container in chart.containers(spec):
                if container["name"] in OURS and container["name"] != "nats":
                    self.assertIn(container["command"][0], ("coordinator", "worker"))

    def test_all_mounts_have_their_volume(self):
        for objects in self.each():
            for thing in objects:
                pod = chart.pod_of(thing)
                if pod is None:
                    continue
                claims = [c["metadata"]["name"] for c in thing["spec"].get("volumeClaimTemplates", [])]
                volumes = claims + [v["name"] for v in pod[1]["volumes"]]
                self.assertEqual(len(volumes), len(set(volumes)), volumes)
                mounted = {m["name"] for c in chart.containers(pod[1]) for m in c.get("volumeMounts", [])}
                self.assertEqual(mounted - set(volumes), set(), thing["metadata"]["name"])

    def test_config_maps_that_are_mounted_exist(self):
        for objects in self.each():
            there = {o["metadata"]["name"] for o in chart.kind(objects, "ConfigMap")}
            for name, _, spec in chart.pods(objects):
                for volume in spec["volumes"]:
                    if volume["name"] in ("config", "job"):
                        self.assertIn(volume["configMap"]["name"], there, name)

    def test_liveness_is_the_process_and_readiness_its_work(self):
        for objects in self.each():
            for of_kind, end in (("Deployment", "-coordinator"), ("StatefulSet", "-worker")):
                container = chart.named(objects, of_kind, end)["spec"]["template"]["spec"]["containers"][0]
                self.assertEqual(container["livenessProbe"]["httpGet"], {"path": "/healthz", "port": "http"})
                self.assertEqual(container["readinessProbe"]["httpGet"], {"path": "/readyz", "port": "http"})
                port = next(p["containerPort"] for p in container["ports"] if p["name"] == "http")
                component = end.removeprefix("-")
                self.assertEqual(chart.settings(objects, component)["http"], f":{port}")

    def test_a_worker_has_longer_than_its_drain(self):
        for objects in self.each():
            spec = chart.named(objects, "StatefulSet", "-worker")["spec"]["template"]["spec"]
            drain = int(chart.settings(objects, "worker")["drain-timeout"].removesuffix("s"))
            self.assertGreater(spec["terminationGracePeriodSeconds"], drain)

    def test_a_worker_is_called_as_its_pod_and_keeps_its_volume(self):
        for objects in self.each():
            worker = chart.named(objects, "StatefulSet", "-worker")["spec"]
            environment = {e["name"]: e for e in worker["template"]["spec"]["containers"][0]["env"]}
            self.assertEqual(environment["MILLRACE_NAME"]["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name")
            self.assertEqual(worker["podManagementPolicy"], "Parallel")
            self.assertEqual(worker["persistentVolumeClaimRetentionPolicy"], {"whenDeleted": "Retain", "whenScaled": "Retain"})
            data = chart.settings(objects, "worker")["data"]
            mounts = {m["name"]: m["mountPath"] for m in worker["template"]["spec"]["containers"][0]["volumeMounts"]}
            self.assertTrue(data.startswith(mounts["data"] + "/"), "not the volume's root, where a lost+found may be")

    def test_every_setting_is_a_flag(self):
        flags = set()
        for source in FLAG_SOURCES:
            flags |= set(re.findall(r'Add\w*\(\s*"([a-z-]+)"', (chart.ROOT / source).read_text()))
        self.assertIn("lease-ttl", flags)
        for objects in self.each():
            for component in ("coordinator", "worker", "submitter"):
                unknown = set(chart.settings(objects, component)) - flags
                self.assertEqual(unknown, set())

    def test_names_and_namespaces(self):
        for objects in self.each():
            names = [(o["kind"], o["metadata"]["name"]) for o in objects]
            self.assertEqual(len(names), len(set(names)))
            for thing in objects:
                self.assertRegex(thing["metadata"]["name"], NAME)
                if "labels" in thing["metadata"]:
                    self.assertEqual(thing["metadata"]["namespace"], chart.NAMESPACE)

    def test_selectors_select_their_pods_and_no_others(self):
        for objects in self.each():
            pods = chart.pods(objects)
            for thing in chart.kind(objects, "Deployment", "StatefulSet"):
                selector = thing["spec"]["selector"]["matchLabels"]
                chosen = {name for name, labels, _ in pods if selector.items() <= labels.items()}
                self.assertEqual(chosen, {f"{thing['kind']} {thing['metadata']['name']}"})
                self.assertNotIn("app.kubernetes.io/version", selector, "it would change with the release")
            for thing in chart.kind(objects, "Service", "PodDisruptionBudget", "NetworkPolicy"):
                spec = thing["spec"]
                selector = spec.get("podSelector", spec["selector"] if thing["kind"] == "Service" else spec.get("selector"))
                selector = selector.get("matchLabels", selector)
                chosen = {labels["app.kubernetes.io/component"] for _, labels, _ in pods if selector.items() <= labels.items()}
                self.assertEqual(len(chosen), 1, f"{thing['kind']} {thing['metadata']['name']} selects {chosen}")
                self.assertTrue(thing["metadata"]["name"].endswith(chosen.pop()))

    def test_ports_of_services_are_ports_of_pods(self):
        for objects in self.each():
            for service in chart.kind(objects, "Service"):
                for _, labels, spec in chart.pods(objects):
                    if service["spec"]["selector"].items() <= labels.items():
                        names = {p["name"] for c in spec["containers"] for p in c.get("ports", [])}
                        self.assertLessEqual({p["targetPort"] for p in service["spec"]["ports"]}, names)

    def test_secrets_are_named_and_never_made(self):
        for objects in self.each():
            self.assertEqual(chart.kind(objects, "Secret"), [])

    def test_a_changed_setting_rolls_the_pods_that_have_it(self):
        def template(objects, of_kind, end):
            return chart.named(objects, of_kind, end)["spec"]["template"]

        for values in chart.VALUES:
            before = chart.render(values)
            for setting, rolled in (("workers.drainTimeoutSeconds=99", {"worker"}), ("nats.users.worker.inboxPrefix=_OTHER", {"worker"}),
                                    ("coordinator.leaseTtl=33s", {"coordinator"}), ("tests.timeoutSeconds=44", set())):
                after = chart.render(values, "--set", setting)
                changed = {component for of_kind, component in (("Deployment", "coordinator"), ("StatefulSet", "worker"))
                           if template(before, of_kind, f"-{component}") != template(after, of_kind, f"-{component}")}
                self.assertEqual(changed, rolled, setting)

class SomeValues(unittest.TestCase):
    def of(self, name, *arguments):
        return chart.render(next(v for v in chart.VALUES if v.name == f"{name}.yaml"), *arguments)

    def test_credentials_and_certificates_come_from_secrets(self):
        objects = self.of("production")
        for of_kind, end in (("Deployment", "-coordinator"), ("StatefulSet", "-worker")):
            component = end.removeprefix("-")
            volumes = {v["name"]: v for v in chart.named(objects, of_kind, end)["spec"]["template"]["spec"]["volumes"]}
            self.assertEqual(volumes["user"]["secret"]["secretName"], f"millrace-{component}")
            self.assertEqual(volumes["tls"]["secret"]["secretName"], "nats-tls")
            settings = chart.settings(objects, component)
            self.assertEqual(settings["creds"], "/etc/millrace/user/user.creds")
            self.assertEqual(settings["tls-key"], "/etc/millrace/tls/tls.key")
            self.assertEqual(settings["inbox-prefix"], f"_INBOX_{component}")
        worker = chart.named(objects, "StatefulSet", "-worker")["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(worker["envFrom"], [{"secretRef": {"name": "millrace-s3"}}])

    def test_an_address_with_a_password_comes_from_a_secret(self):
        objects = self.of("minimal", "--set", "nats.url=,nats.urlSecret.name=nats-url")
        for name, _, spec in chart.pods(objects):
            environment = {e["name"]: e for c in chart.containers(spec) for e in c["env"]}
            self.assertEqual(environment["MILLRACE_NATS"]["valueFrom"]["secretKeyRef"], {"name": "nats-url", "key": "url"}, name)
        self.assertNotIn("nats", chart.settings(objects, "worker"))

    def test_jobs_are_submitted_behind_the_release_and_brought_up_to_date(self):
        objects = self.of("everything")
        jobs = {o["metadata"]["annotations"]["millrace.io/job"]: o for o in chart.kind(objects, "Job")}
        self.assertEqual(set(jobs), {"totals", "Daily_Import"})
        for name, job in jobs.items():
            self.assertEqual(job["metadata"]["annotations"]["helm.sh/hook"], "post-install,post-upgrade,post-rollback")
            command = job["spec"]["template"]["spec"]["containers"][0]["command"]
            self.assertEqual(command[:3], ["coordinator", "submit", "/etc/millrace/job/job.yaml"])
            self.assertIn("--update", command)
            self.assertIn(f"--name={name}", command)
        self.assertIn("--input=/input/*.jsonl", jobs["Daily_Import"]["spec"]["template"]["spec"]["containers"][0]["command"])
        files = chart.named(objects, "ConfigMap", jobs["totals"]["metadata"]["name"])["data"]
        self.assertEqual(files["airports.csv"], "code,city\nATL,Atlanta\n")
        self.assertEqual(chart.yaml.safe_load(files["job.yaml"])["key"], "origin")

    def test_only_whom_the_policy_names_comes_in(self):
        for name in ("minimal", "production", "everything", "values-tryout"):
            objects = self.of(name)
            for policy in chart.kind(objects, "NetworkPolicy"):
                self.assertIn("Ingress", policy["spec"]["policyTypes"])
                for rule in policy["spec"]["ingress"]:
                    self.assertTrue(rule["from"], "an empty list lets everybody in")
        nats = chart.named(self.of("values-tryout"), "NetworkPolicy", "-nats")
        selector = nats["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
        for name, labels, _ in chart.pods(self.of("values-tryout")):
            self.assertLessEqual(selector.items(), labels.items(), f"{name} cannot reach NATS")

    def test_extra_objects_may_be_text_with_templates(self):
        names = {o["metadata"]["name"] for o in self.of("everything")}
        self.assertLessEqual({f"{chart.RELEASE}-extra", "rivers-text"}, names)

    def test_a_release_with_dots_makes_names_that_workers_may_have(self):
        done = chart.helm("template", "v1.2", chart.CHART, *chart.CLUSTER, "-f", chart.VALUES[1])
        self.assertIn("name: v1-2-millrace-worker", done.stdout, done.stderr)


if __name__ == "__main__":
    unittest.main()
