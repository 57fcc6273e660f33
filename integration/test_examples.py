"""Every job under examples/ is right, passes its own tests, and gives on real flights the answer that Python computes."""

import calendar
import collections
import json
import pathlib
import time
import unittest

from cluster import Cluster, coordinator

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"
FLIGHTS = EXAMPLES / "data/flights.jsonl"
GAP_MS = 30 * 60 * 1000


def flights():
    with open(FLIGHTS) as lines:
        return [json.loads(line) for line in lines]


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


ANSWERS = {"running-totals": running_totals, "worst-delays": worst_delays, "sessions": sessions, "feeders": feeders,
           "first-flights": first_flights, "routing": routing}


class ExamplesTest(unittest.TestCase):
    def test_every_example_has_its_answer_here(self):
        self.assertEqual({path.parent.name for path in EXAMPLES.glob("*/job.yaml")}, set(ANSWERS))

    def test_files_are_right_and_pass_their_own_tests(self):
        for job_file in sorted(EXAMPLES.glob("*/job.yaml")):
            for command in ("check", "test"):
                with self.subTest(job=job_file.parent.name, command=command):
                    done = coordinator(command, job_file)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_answers_on_real_flights(self):
        with Cluster(workers=["w1", "w2"]) as cluster:
            for job, answer in ANSWERS.items():
                with cluster.part(self, job=job):
                    cluster.run("submit", EXAMPLES / job / "job.yaml", "--input", FLIGHTS, "--wait")
                    outputs = collections.defaultdict(list)
                    for result in cluster.results(job):
                        outputs[result["key"]].append(result["value"])
                    self.assertEqual(outputs, answer())
                    cluster.run("verify", job)


if __name__ == "__main__":
    unittest.main()
