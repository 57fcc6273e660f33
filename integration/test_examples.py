"""Every job under examples/ is right, passes its own tests, and gives on the data beside it the answer that Python computes."""

import bisect
import calendar
import collections
import csv
import json
import os
import pathlib
import re
import socket
import sys
import tempfile
import time
import unittest
import unittest.mock

import handlers
import plugins
from cluster import Cluster, Process, coordinator, wait_for

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"
FLIGHTS = EXAMPLES / "data/flights.jsonl"
GAP_MS = 30 * 60 * 1000
SERVICE_PORTS = {"enrichment": 8765, "bulk-write": 8766}  # as the examples' jobs have them


def records(path):
    with open(EXAMPLES / path) as lines:
        return [json.loads(line) for line in lines]


def flights():
    return records(FLIGHTS)


def running_totals():
    """For each airport its outputs in order."""
    state, outputs = {}, collections.defaultdict(list)
    for flight in flights():
        now = state.setdefault(flight["origin"], {"flights": 0, "total": 0, "worst": None, "mean": None, "last": None})
        now["flights"] += 1
        now["total"] += flight["delay"]
        now["worst"] = flight["delay"] if now["worst"] is None else max(now["worst"], flight["delay"])
        now["mean"] = now["total"] / now["flights"]
        now["last"] = flight["destination"]
        outputs[flight["origin"]].append(dict(now))
    return outputs


def worst_delays():
    worst, outputs = {}, collections.defaultdict(list)
    for flight in flights():
        key = json.dumps([flight["origin"], flight["destination"]], separators=(",", ":"))
        if flight["delay"] <= 0 or flight["delay"] <= worst.get(key, 0):
            continue
        worst[key] = flight["delay"]
        outputs[key].append({"route": f"{flight['origin']}-{flight['destination']}", "worst": flight["delay"]})
    return outputs


def sessions():
    """The departures of the file are in order of time, so a session is a run of them without a gap of half an hour."""
    open_sessions, outputs = {}, collections.defaultdict(list)
    for flight in flights():
        at = calendar.timegm(time.strptime(flight["date"], "%Y/%m/%d %H:%M")) * 1000
        session = open_sessions.get(flight["origin"])
        if session is None or at >= session["window_end"]:
            session = {"flights": 0, "worst": flight["delay"], "first": flight["destination"], "window_start": at}
            open_sessions[flight["origin"]] = session
            outputs[flight["origin"]].append(session)
        session["flights"] += 1
        session["worst"] = max(session["worst"], flight["delay"])
        session["last"] = flight["destination"]
        session["window_end"] = at + GAP_MS
    return outputs


def feeders():
    """A flight's number among the departures of its origin reaches its destination, in whatever order the origins come."""
    departures, outputs = collections.Counter(), {}
    for flight in flights():
        departures[flight["origin"]] += 1
        [now] = outputs.setdefault(flight["destination"], [{"arrivals": 0, "busiest": 0}])
        now["arrivals"] += 1
        now["busiest"] = max(now["busiest"], departures[flight["origin"]])
    return outputs


def first_flights():
    seen, outputs = set(), collections.defaultdict(list)
    for flight in flights():
        if (flight["origin"], flight["destination"]) not in seen:
            seen.add((flight["origin"], flight["destination"]))
            outputs[flight["origin"]].append({"destination": flight["destination"], "date": flight["date"]})
    return outputs


def routing():
    early, outputs = collections.Counter(), collections.defaultdict(list)
    for flight in flights():
        if flight["delay"] < 0:
            early[flight["origin"]] += 1
        elif flight["delay"] >= 120:
            late = {"late": flight["delay"], "destination": flight["destination"]}
            outputs[flight["origin"]].append({"kind": "late", "what": late})
    for airport, flights_early in early.items():
        outputs[airport].append({"kind": "early", "what": {"early": flights_early}})
    return outputs


def word_count():
    with open(EXAMPLES / "word-count/text.txt") as text:
        counts = collections.Counter(re.findall("[a-z][a-z'-]*", text.read().lower()))
    return {word: [{"count": count}] for word, count in counts.items()}


def orders():
    """In order of time, so whoever has not paid by the next event of his order, or at all, has let it expire."""
    ways = {None: ["created"], "created": ["paid", "cancelled"], "paid": ["shipped", "cancelled"]}
    state, outputs = {}, collections.defaultdict(list)

    def go_to(order, to):
        state[order]["is"] = to
        outputs[order].append({"is": to, "total": state[order]["total"]})

    for event in records("orders/orders.jsonl"):
        order, at = event["order"], calendar.timegm(time.strptime(event["at"], "%Y-%m-%dT%H:%M:%SZ")) * 1000
        now = state.setdefault(order, {"is": None})
        if now["is"] == "created" and at > now["pay_by"]:
            go_to(order, "expired")
        if event["event"] not in ways.get(now["is"], []):
            continue
        if event["event"] == "created":
            now.update(total=event["total"], pay_by=at + GAP_MS)
        go_to(order, event["event"])
    for order, now in state.items():
        if now["is"] == "created":
            go_to(order, "expired")
    return outputs


def alerts():
    outputs = collections.defaultdict(list)
    for alert in records("alerts/alerts.jsonl"):
        if alert["level"] != "warning" and len(outputs[alert["host"]]) < 3:
            outputs[alert["host"]].append({"level": alert["level"], "text": alert["text"]})
    return {host: told for host, told in outputs.items() if told}


def webhooks():
    seen, accounts = set(), collections.defaultdict(lambda: {"events": 0, "cents": 0})
    for event in records("webhooks/deliveries.jsonl"):
        if event["id"] not in seen:
            seen.add(event["id"])
            accounts[event["account"]]["events"] += 1
            accounts[event["account"]]["cents"] += -event["cents"] if event["type"] == "refund" else event["cents"]
    return {account: [balance] for account, balance in accounts.items()}


def user_totals():
    users = {}
    with open(EXAMPLES / "user-totals/events.csv", newline="") as lines:
        for event in csv.DictReader(lines):
            if event["action"] == "login":
                continue
            user = users.setdefault(event["user"], {"actions": 0, "pages": set(), "purchases": 0, "spent": 0, "dearest": None})
            user["actions"] += 1
            user["pages"].add(event["page"])
            user["last"] = event["page"]
            if event["action"] == "buy":
                amount = float(event["amount"])
                user["purchases"] += 1
                user["spent"] += amount
                user["dearest"] = amount if user["dearest"] is None else max(user["dearest"], amount)
    return {name: [{**user, "pages": len(user["pages"])}] for name, user in users.items()}


def fraud_score():
    state, outputs = {}, collections.defaultdict(list)
    for payment in records("fraud-score/payments.jsonl"):
        cents, at = payment["cents"], calendar.timegm(time.strptime(payment["at"], "%Y-%m-%dT%H:%M:%SZ"))
        if not isinstance(cents, int):
            continue
        paid, last = state.get(payment["account"], ([], None))
        unusual = paid and cents > 5 * sum(paid) / len(paid)
        why = (["amount"] if unusual else []) + (["haste"] if paid and at - last < 60 else [])
        state[payment["account"]] = (paid + [cents], at)
        if why:
            outputs[payment["account"]].append({"cents": cents, "score": min(100, 60 * len(why)), "why": why})
    return outputs


def lookup():
    """By the state of the origin, where the table has it."""
    with open(EXAMPLES / "lookup/airports.csv") as file:
        states = {row["code"]: row["state"] for row in csv.DictReader(file)}
    outputs = {}
    for flight in flights():
        if flight["origin"] in states:
            [now] = outputs.setdefault(states[flight["origin"]], [{"flights": 0, "worst": flight["delay"]}])
            now["flights"] += 1
            now["worst"] = max(now["worst"], flight["delay"])
    return outputs


def cpp_plugin():
    """Quantiles by nearest rank."""
    delays, outputs = collections.defaultdict(list), collections.defaultdict(list)
    for flight in flights():
        seen = delays[flight["origin"]]
        bisect.insort(seen, flight["delay"])
        ranks = [-(-len(seen) * share // 100) for share in (50, 90)]
        outputs[flight["origin"]].append({"flights": len(seen), "median": seen[ranks[0] - 1], "p90": seen[ranks[1] - 1]})
    return outputs


def enrichment():
    customers = {"ann": ("Ann Archer", "gold"), "bob": ("Bob Baker", "basic"), "eve": ("Eve Éluard", "silver")}
    spent, outputs = collections.Counter(), collections.defaultdict(list)
    for order in records("enrichment/orders.jsonl"):
        who = order["customer"]
        if who in customers:
            name, tier = customers[who]
            spent[who] += order["cents"]
            outputs[who].append({"order": order["order"], "name": name, "tier": tier, "spent": spent[who]})
    return outputs


def bulk_write():
    versions, outputs = collections.Counter(), collections.defaultdict(list)
    for change in records("bulk-write/prices.jsonl"):
        if change["cents"] >= 0:
            versions[change["product"]] += 1
            outputs[change["product"]].append({"cents": change["cents"], "version": versions[change["product"]]})
    return outputs


# Each with what its input is.
ANSWERS = {
    "running-totals": (running_totals, FLIGHTS),
    "worst-delays": (worst_delays, FLIGHTS),
    "sessions": (sessions, FLIGHTS),
    "feeders": (feeders, FLIGHTS),
    "first-flights": (first_flights, FLIGHTS),
    "routing": (routing, FLIGHTS),
    "word-count": (word_count, EXAMPLES / "word-count/text.txt"),
    "orders": (orders, EXAMPLES / "orders/orders.jsonl"),
    "alerts": (alerts, EXAMPLES / "alerts/alerts.jsonl"),
    "webhooks": (webhooks, EXAMPLES / "webhooks/deliveries.jsonl"),
    "fraud-score": (fraud_score, EXAMPLES / "fraud-score/payments.jsonl"),
    "lookup": (lookup, FLIGHTS),
    "cpp-plugin": (cpp_plugin, FLIGHTS),
    "enrichment": (enrichment, EXAMPLES / "enrichment/orders.jsonl"),
    "bulk-write": (bulk_write, EXAMPLES / "bulk-write/prices.jsonl"),
    "user-totals": (user_totals, EXAMPLES / "user-totals/events.csv"),
}


class ExamplesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="millrace-handlers-")
        cls.addClassCleanup(folder.cleanup)
        served = handlers.serve(EXAMPLES / "fraud-score/score.py", "ipc:///tmp/fraud-score-*.sock",
                                pathlib.Path(folder.name) / "score.log", processes=2)
        cls.addClassCleanup(served.stop)
        built = plugins.build(EXAMPLES / "cpp-plugin", folder.name)
        cls.enterClassContext(unittest.mock.patch.dict(os.environ, {"MILLRACE_PLUGINS": str(built)}))
        for job, port in SERVICE_PORTS.items():
            service = Process([sys.executable, EXAMPLES / job / "service.py", port], pathlib.Path(folder.name) / f"{job}.log")
            cls.addClassCleanup(service.kill)
            wait_for(lambda at=port: cls.answers(at), f"the service of {job} answers")

    @staticmethod
    def answers(port):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    def test_every_example_has_its_answer_here(self):
        self.assertEqual({path.parent.name for path in EXAMPLES.glob("*/job.yaml")}, set(ANSWERS))

    def test_files_are_right_and_pass_their_own_tests(self):
        for job_file in sorted(EXAMPLES.glob("*/job.yaml")):
            for command in ("check", "test"):
                with self.subTest(job=job_file.parent.name, command=command):
                    done = coordinator(command, job_file)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_what_the_readmes_show_comes_out(self):
        for job, (answer, _) in ANSWERS.items():
            lines = (EXAMPLES / job / "README.md").read_text().splitlines()
            shown = [json.loads(line) for line in lines if line.startswith('    {"key":')]
            self.assertNotEqual(shown, [], job)
            outputs = answer()
            for line in shown:
                self.assertIn(line["value"], outputs[line["key"]], job)

    def test_each_gives_its_answer(self):
        with Cluster(workers=["w1", "w2"]) as cluster:
            for job, (answer, data) in ANSWERS.items():
                with cluster.part(self, job=job):
                    cluster.run("submit", EXAMPLES / job / "job.yaml", "--input", data, "--wait")
                    outputs = collections.defaultdict(list)
                    for result in cluster.results(job):
                        outputs[result["key"]].append(result["value"])
                    self.assertEqual(outputs, answer())
                    cluster.run("verify", job)


if __name__ == "__main__":
    unittest.main()
