"""A cluster of real processes that a real Prometheus watches, by the rules of the chart. Time runs SPEED times as fast in them."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in ("", "chart")]
import chart  # noqa: E402
from cluster import BIN, Cluster, Process, free_port, wait_for  # noqa: E402

PROMETHEUS = os.environ.get("MILLRACE_PROMETHEUS") or shutil.which("prometheus") or "/usr/bin/prometheus"
SPEED = 100  # 5m of a rule are 3 s here
LOOK_EVERY = "250ms"  # scraped and evaluated; 25 s at the rules' own speed
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PODS = ("coordinator-0", "coordinator-1", "worker-0", "worker-1")
VALUES = {"nats": {"url": "nats://nats:4222"}, "workers": {"replicas": 2},
          "monitoring": {"prometheusRule": {"enabled": True, "lateAfterSeconds": 1}, "dashboard": {"enabled": True}}}


def objects():
    """What the chart makes for who watches a release of two workers, whose jobs are late after a second."""
    done = chart.helm("template", chart.RELEASE, chart.CHART, "--namespace", chart.NAMESPACE, *chart.CLUSTER, "-f", "-",
                      stdin=json.dumps(VALUES))
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def groups():
    return chart.kind(objects(), "PrometheusRule")[0]["spec"]["groups"]


def alerts():
    return [rule["alert"] for group in groups() for rule in group["rules"] if "alert" in rule]


def questions():
    """(panel, expression) of all that the dashboard asks, for this namespace and all jobs."""
    dashboard = json.loads(chart.named(objects(), "ConfigMap", "-dashboard")["data"]["millrace.json"])
    return [(panel["title"], target["expr"].replace("$namespace", chart.NAMESPACE).replace("$job", ".*"))
            for panel in dashboard["panels"] for target in panel.get("targets", [])]


def sooner(text):
    return re.sub(r"\b(\d+)([smhd])\b", lambda found: f"{int(found[1]) * UNITS[found[2]] * 1000 // SPEED}ms", text)


def sooner_groups():
    changed = groups()
    for group in changed:
        for rule in group["rules"]:
            for field in {"expr", "for"} & rule.keys():
                rule[field] = sooner(rule[field])
    return changed


class Prometheus:
    def __init__(self, folder, targets):
        folder.mkdir()
        (folder / "rules.json").write_text(json.dumps({"groups": sooner_groups()}))
        (folder / "prometheus.json").write_text(json.dumps({
            "global": {"scrape_interval": LOOK_EVERY, "scrape_timeout": LOOK_EVERY, "evaluation_interval": LOOK_EVERY},
            "rule_files": [str(folder / "rules.json")],
            "scrape_configs": [{"job_name": "pods", "honor_labels": True, "static_configs": [
                {"targets": [f"127.0.0.1:{port}"],
                 "labels": {"namespace": chart.NAMESPACE, "pod": f"{chart.RELEASE}-millrace-{pod}"}} for pod, port in targets.items()]}]}))
        self.began = time.time()
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = Process([PROMETHEUS, f"--config.file={folder}/prometheus.json", f"--storage.tsdb.path={folder}/data",
                                f"--web.listen-address={self.url.removeprefix('http://')}", "--log.level=warn"], folder / "prometheus.log")
        wait_for(self.answers, "Prometheus is ready")

    def answers(self):
        if not self.process.running():
            raise AssertionError(f"Prometheus ended: {self.process.log.read_text()}")
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def ask(self, path, **parameters):
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
            return json.load(answer)["data"]

    def value(self, expression):
        """The greatest of what it is now; None: there is nothing."""
        return max((float(series["value"][1]) for series in self.ask("query", query=expression)["result"]), default=None)

    def most(self, expression, since=None):
        """The greatest that it has been since then, or since the beginning; None: there was nothing."""
        series = self.ask("query_range", query=expression, start=since or self.began, end=time.time(), step="0.25")["result"]
        return max((float(value) for one in series for _, value in one["values"] if value != "NaN"), default=None)

    def firing(self, alert):
        """The labels of each that fires."""
        return [one["labels"] for one in self.ask("alerts")["alerts"] if one["labels"]["alertname"] == alert and one["state"] == "firing"]

    def fired_since(self, alert, since):
        return self.most(f'ALERTS{{alertname="{alert}", alertstate="firing"}}', since) is not None


class Watched(Cluster):
    """Pods are called as those of the chart; each may be there or not."""

    def __init__(self, **options):
        self.ports = {pod: free_port() for pod in PODS}
        super().__init__(**options)
        try:
            self.prometheus = Prometheus(self.folder / "prometheus", self.ports)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        self.others.append(self.prometheus.process)

    def start_coordinator(self, environment=None, pod="coordinator-0", nats=None):
        return Process([BIN / "coordinator", "serve", "--nats", nats or self.nats.url, "--lease-ttl", self.lease_ttl,
                        "--http", f"127.0.0.1:{self.ports[pod]}"], self.folder / f"{pod}.log", environment)

    def start_worker(self, name, flags=(), **options):
        return super().start_worker(name, flags=["--http", f"127.0.0.1:{self.ports[name]}", *flags], **options)

    def wait_value(self, expression, condition, what):
        """Waits until Prometheus sees it so."""
        return wait_for(lambda: (value := self.prometheus.value(expression)) is not None and condition(value), what)

    def wait_firing(self, alert, **labels):
        wait_for(lambda: any(labels.items() <= one.items() for one in self.prometheus.firing(alert)), f"{alert} fires")

    def wait_resolved(self, *of):
        for alert in of:
            wait_for(lambda: not self.prometheus.firing(alert), f"{alert} is resolved")


def check_rules(folder):
    """What promtool says of the rules at their own speed."""
    promtool = pathlib.Path(PROMETHEUS).with_name("promtool")
    path = folder / "rules.json"
    path.write_text(json.dumps({"groups": groups()}))
    return subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True)
