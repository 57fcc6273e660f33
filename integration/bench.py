"""./run bench: throughput, latency, restart and memory, each beside the ceiling of the same machine in the same run.

Nothing is asserted: times belong to a machine. What to compare are the ratios, and the change since the last run here,
which is kept in build/bench/last.json.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import bench_report
import bench_runs
import cluster

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAST = ROOT / "build/bench/last.json"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the executables")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument("--only", metavar="NAME", action="append", choices=list(bench_runs.RUNS),
                        help="this measurement alone; may be repeated: " + ", ".join(bench_runs.RUNS))
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    return parser.parse_args()


def machine():
    version = subprocess.run([cluster.NATS_SERVER, "--version"], capture_output=True, text=True).stdout.strip()
    return {"cores": os.cpu_count(), "nats_server": version.rpartition("v")[2], "load_before": os.getloadavg()[0]}


def read_last():
    try:
        return json.loads(LAST.read_text())
    except (OSError, ValueError):
        return {}


def keep(results, size):
    """The last numbers of each measurement, by size: a quick run is compared with a quick run."""
    last = read_last()
    last.setdefault(size, {}).update(results)
    LAST.parent.mkdir(parents=True, exist_ok=True)
    LAST.write_text(json.dumps(last, indent=1) + "\n")


def main():
    arguments = parse()
    cluster.BIN = arguments.bin.resolve()
    size = "quick" if arguments.quick else "full"
    before = read_last().get(size, {})
    here = machine()
    results = {}
    for name, run in bench_runs.RUNS.items():
        if arguments.only and name not in arguments.only:
            continue
        if arguments.quick and name in bench_runs.FULL_ONLY and not arguments.only:
            continue
        began = time.monotonic()
        print(f"== {name}: {bench_runs.describe(run)}", file=sys.stderr, flush=True)
        results[name] = run(10 if arguments.quick else 1)
        print(f"   {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        keep({name: results[name]}, size)
    if arguments.output == "json":
        print(json.dumps({"machine": here, "size": size, "results": results}, indent=1))
    else:
        print(bench_report.table(here, size, results, before))


if __name__ == "__main__":
    main()
