"""A release of the chart in a real cluster: a namespace of its own that takes `restricted` pods only, helm, kubectl."""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/millrace"
HELM = os.environ.get("HELM_PROGRAM", "helm")
WAIT_SECONDS = 300


def image_values(name):
    repository, tag = name.rsplit(":", 1)
    return {"repository": repository, "tag": tag}


def run(*arguments, stdin=None, timeout=WAIT_SECONDS + 60):
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, input=stdin, timeout=timeout)


def must(*arguments, **options):
    done = run(*arguments, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def wait_for(condition, what, seconds=WAIT_SECONDS):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.5)


class Release:
    """`mill` in a namespace of its own. Ended, it takes the namespace away, with all that is in it."""

    name = "mill"

    def __init__(self, namespace, values):
        self.namespace = namespace
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="millrace-kube-"))
        self.values = values

    def __enter__(self):
        must("kubectl", "create", "namespace", self.namespace)
        must("kubectl", "label", "namespace", self.namespace, "pod-security.kubernetes.io/enforce=restricted")
        return self

    def __exit__(self, *_):
        with contextlib.suppress(AssertionError):
            self.save_logs()
        run("kubectl", "delete", "namespace", self.namespace, "--wait=true", "--timeout=180s")

    def save_logs(self):
        (self.folder / "events").write_text(self.kubectl("get", "events", "--sort-by=.lastTimestamp"))
        (self.folder / "pods").write_text(self.kubectl("describe", "pods"))
        for pod in self.pods():
            name = pod["metadata"]["name"]
            (self.folder / f"{name}.log").write_text(run("kubectl", "-n", self.namespace, "logs", name, "--all-containers").stdout)
        print(f"logs: {self.folder}", flush=True)

    def file(self, values=None):
        path = self.folder / "values.json"
        path.write_text(json.dumps(self.values if values is None else values))
        return path

    def try_helm(self, *arguments):
        return run(HELM, "-n", self.namespace, *arguments)

    def helm(self, *arguments):
        return must(HELM, "-n", self.namespace, *arguments)

    def install(self):
        return self.helm("install", self.name, CHART, "-f", self.file(), "--wait", "--timeout", f"{WAIT_SECONDS}s")

    def upgrade(self, *settings):
        return self.helm(*self.upgrade_command(*settings))

    def upgrade_command(self, *settings):
        sets = [word for setting in settings for word in ("--set", setting)]
        return ("upgrade", self.name, CHART, "-f", self.file(), "--wait", "--timeout", f"{WAIT_SECONDS}s", *sets)

    def kubectl(self, *arguments, **options):
        return must("kubectl", "-n", self.namespace, *arguments, **options)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def pods(self, component=None):
        selector = f"app.kubernetes.io/component={component}" if component else "app.kubernetes.io/instance"
        return self.get("pods", "-l", selector)["items"]

    def uids(self, component):
        return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in self.pods(component)}

    def ready(self, component):
        """The names of the pods that are ready."""
        return sorted(pod["metadata"]["name"] for pod in self.pods(component)
                      if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])))

    def restarts(self):
        return sum(c["restartCount"] for pod in self.pods() for c in pod["status"].get("containerStatuses", []))

    def coordinator_command(self, *arguments, interactive=False):
        flags = ["-i"] if interactive else []
        return ["kubectl", "-n", self.namespace, "exec", *flags, f"deploy/{self.name}-millrace-coordinator", "--",
                "coordinator", *map(str, arguments)]

    def try_coordinator(self, *arguments):
        return run(*self.coordinator_command(*arguments))

    def coordinator(self, *arguments):
        """A command in a pod of the coordinator; again where the pod is going away just then."""
        last = []

        def once():
            last[:] = [self.try_coordinator(*arguments)]
            return last[0].returncode == 0

        try:
            wait_for(once, f"coordinator {' '.join(arguments)}", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last[0].stderr}") from error
        return last[0].stdout

    def json(self, *arguments):
        return json.loads(self.coordinator(*arguments, "-o", "json"))
