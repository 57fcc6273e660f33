"""Windows of event time against an oracle that has all records at once: out of order by up to an hour, workers killed under way.

MILLRACE_WINDOW_RECORDS (default 20000, the flights there are; more of them follow behind those) and MILLRACE_SEED scale and repeat it.
"""

import calendar
import collections
import json
import os
import pathlib
import random
import time
import unittest

import feed
from cluster import Cluster, wait_for

FLIGHTS = pathlib.Path(__file__).resolve().parent.parent / "examples/data/flights.jsonl"
RECORDS = int(os.environ.get("MILLRACE_WINDOW_RECORDS", "20000"))
SEED = int(os.environ.get("MILLRACE_SEED") or random.SystemRandom().randrange(1 << 32))
KILLS = 6
LATE_RECORDS = 4000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
DISORDER_MS = HOUR_MS
FASTER = 20  # times as many flights in an hour as there were, so that windows hold several and records pass one another
AGGREGATE = ("{ flights: count(), total: sum(delay), worst: max(delay), first: first(destination), last: last(destination), "
             "places: distinct(destination) }")
JOB = """\
name: {name}
source: {{ format: jsonl }}
key: {key}
time: {{ field: at }}
partitions: 4
stages:
{stages}
commit: {{ interval: 50ms }}
"""


def setUpModule():
    print(f"windows: seed {SEED} (MILLRACE_SEED), {RECORDS} records", flush=True)


def shuffled_flights():
    """Flights with `at` in milliseconds, twenty times as dense as they were, each at most an hour behind the latest before it."""
    with open(FLIGHTS) as lines:
        flights = [json.loads(line) for line in lines]
    for flight in flights:
        flight["at"] = calendar.timegm(time.strptime(flight.pop("date"), "%Y/%m/%d %H:%M")) * 1000
    begin = flights[0]["at"]
    for flight in flights:
        flight["at"] = begin + (flight["at"] - begin) // FASTER
    span = flights[-1]["at"] - flights[0]["at"] + MINUTE_MS
    records = [{**flights[i % len(flights)], "at": flights[i % len(flights)]["at"] + i // len(flights) * span}
               for i in range(RECORDS)]
    rng = random.Random(SEED)
    return [record for _, _, record in sorted((record["at"] + rng.uniform(0, DISORDER_MS), i, record)
                                              for i, record in enumerate(records))]


def summary(records, start, end):
    """What `AGGREGATE` comes to, of records in the order of the log."""
    return {"flights": len(records), "total": sum(r["delay"] for r in records), "worst": max(r["delay"] for r in records),
            "first": records[0]["destination"], "last": records[-1]["destination"],
            "places": len({r["destination"] for r in records}), "window_start": start, "window_end": end}


def fixed_windows(records, size, every):
    windows = collections.defaultdict(list)
    for record in records:
        start = record["at"] // every * every
        while start > record["at"] - size:
            windows[record["origin"], start].append(record)
            start -= every
    return {(origin, start): summary(held, start, start + size) for (origin, start), held in windows.items()}


def session_windows(records, gap):
    by_origin, sessions = collections.defaultdict(list), {}
    for number, record in enumerate(records):
        by_origin[record["origin"]].append((record["at"], number))
    for origin, times in by_origin.items():
        held = []
        for at, number in [*sorted(times), (None, None)]:
            if held and (at is None or at - held[-1][0] >= gap):
                start, end = held[0][0], held[-1][0] + gap
                sessions[origin, start] = summary([records[n] for n in sorted(n for _, n in held)], start, end)
                held = []
            held.append((at, number))
    return sessions


def busy_places(records):
    """Arrivals in two hours at each place, counted by windows of half hours for each route."""
    counts = collections.defaultdict(lambda: [0, set()])
    for record in records:
        count = counts[record["destination"], record["at"] // (2 * HOUR_MS) * 2 * HOUR_MS]
        count[0] += 1
        count[1].add((record["origin"], record["at"] // (30 * MINUTE_MS)))
    return {(place, start): {"flights": flights, "parts": len(parts), "window_start": start, "window_end": start + 2 * HOUR_MS}
            for (place, start), (flights, parts) in counts.items()}


class WindowsUnderKills(unittest.TestCase):
    def run_job(self, cluster, name, stages, records, key="origin"):
        """Feeds the records by hand while one worker or the other is killed; returns the results by (key, start of the window)."""
        rng = random.Random(f"{SEED}/{name}")
        job_file = cluster.write(f"{name}.yaml", JOB.format(name=name, key=key, stages=stages))
        source = feed.Feed(cluster, job_file, [json.dumps(record) + "\n" for record in records])
        source.write(1)
        wait_for(lambda: cluster.try_run("status", name).returncode == 0, f"job {name} is there")
        for _ in range(KILLS):
            source.write(int(len(records) * 0.9 / KILLS))
            time.sleep(rng.uniform(0, 0.4))
            cluster.restart_worker(rng.choice(["w1", "w2"]))
        source.finish()
        cluster.wait_state(name, "completed")
        results = {}
        for result in cluster.results(name):
            place = (result["key"], result["value"]["window_start"])
            self.assertNotIn(place, results, "a window was put out twice")
            results[place] = result["value"]
        cluster.run("verify", name)
        return results

    def check(self, name, stages, expected, records, key="origin"):
        with Cluster(workers=["w1", "w2"]) as cluster:
            results = self.run_job(cluster, name, stages, records, key)
            self.assertEqual(cluster.json("dead-letters", "list", name), [])
            differing = [place for place in {*expected, *results} if expected.get(place) != results.get(place)]
            self.assertEqual([(place, expected.get(place), results.get(place)) for place in differing[:3]], [])

    def test_tumbling(self):
        records = shuffled_flights()
        self.check("tumbling", f"  - window: {{ tumbling: 1h, lateness: 1h, aggregate: {AGGREGATE} }}",
                   fixed_windows(records, HOUR_MS, HOUR_MS), records)

    def test_sliding(self):
        records = shuffled_flights()
        self.check("sliding", f"  - window: {{ sliding: 1h, every: 15m, lateness: 1h, aggregate: {AGGREGATE} }}",
                   fixed_windows(records, HOUR_MS, 15 * MINUTE_MS), records)

    def test_sessions(self):
        records = shuffled_flights()
        self.check("session", f"  - window: {{ session: 20m, lateness: 1h, aggregate: {AGGREGATE} }}",
                   session_windows(records, 20 * MINUTE_MS), records)

    def test_windows_of_windows_in_the_next_segment_need_no_lateness_of_their_own(self):
        records = shuffled_flights()
        stages = ("  - window: { tumbling: 30m, lateness: 1h, aggregate: { n: count(), to: last(destination) } }\n"
                  "  - key_by: to\n    partitions: 3\n"
                  "  - window: { tumbling: 2h, aggregate: { flights: sum(n), parts: count() } }")
        self.check("places", stages, busy_places(records), records, key="[origin, destination]")

    def test_what_comes_later_than_its_window_is_a_dead_letter(self):
        records = shuffled_flights()[:LATE_RECORDS]
        with Cluster(workers=["w1", "w2"]) as cluster:
            results = self.run_job(cluster, "late", f"  - window: {{ tumbling: 2h, aggregate: {AGGREGATE} }}", records)
            letters = cluster.json("dead-letters", "list", "late")
            self.assertGreater(len(letters), 0)
            self.assertTrue(all(letter["error"].startswith("late: ") for letter in letters))
            self.assertEqual(sum(value["flights"] for value in results.values()) + len(letters), len(records))
            self.assertEqual(cluster.status("late")["dead_letters"], len(letters))


if __name__ == "__main__":
    unittest.main()
