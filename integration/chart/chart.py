"""The chart, rendered by helm: what the tests beside this file look at."""

import os
import pathlib
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/millrace"
VALUES = sorted((ROOT / "integration/chart/values").glob("*.yaml")) + [CHART / "values-tryout.yaml"]
WRONG = sorted((ROOT / "integration/chart/wrong").glob("*.yaml"))
HELM = os.environ.get("HELM_PROGRAM", "helm")
NAMESPACE, RELEASE = "streams", "lake"
CLUSTER = ("--kube-version", "1.34.0")  # helm's own guess, where there is no cluster, depends on how it was built


def helm(*arguments, stdin=None):
    return subprocess.run([HELM, *map(str, arguments)], capture_output=True, text=True, input=stdin)


def try_render(values, *arguments):
    return helm("template", RELEASE, CHART, "--namespace", NAMESPACE, *CLUSTER, "-f", values, *arguments)


def render(values, *arguments):
    """Every object of the release, hooks and tests included."""
    done = try_render(values, *arguments)
    if done.returncode != 0:
        raise AssertionError(f"{values}: {done.stderr}")
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def kind(objects, *kinds):
    return [o for o in objects if o["kind"] in kinds]


def named(objects, of_kind, end):
    found = [o for o in kind(objects, of_kind) if o["metadata"]["name"].endswith(end)]
    assert len(found) == 1, f"{of_kind} …{end}: {[o['metadata']['name'] for o in found]}"
    return found[0]


def pod_of(thing):
    """(labels, spec) of the pods that it makes; None: it makes none."""
    if thing["kind"] == "Pod":
        return thing["metadata"].get("labels", {}), thing["spec"]
    if thing["kind"] in ("Deployment", "StatefulSet", "Job"):
        template = thing["spec"]["template"]
        return template["metadata"]["labels"], template["spec"]
    return None


def pods(objects):
    return [(f"{o['kind']} {o['metadata']['name']}", *pod) for o in objects if (pod := pod_of(o)) is not None]


def containers(spec):
    return spec.get("initContainers", []) + spec["containers"]


def settings(objects, component):
    """What a process is told: the lines of its config file, and its arguments."""
    text = named(objects, "ConfigMap", "-config")["data"][f"{component}.conf"]
    lines = [line.split(" = ", 1) for line in text.splitlines() if line.strip()]
    of_kind = {"coordinator": "Deployment", "worker": "StatefulSet"}.get(component)
    if of_kind is None:
        return dict(lines)
    arguments = named(objects, of_kind, f"-{component}")["spec"]["template"]["spec"]["containers"][0]["args"]
    return dict(lines) | dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
