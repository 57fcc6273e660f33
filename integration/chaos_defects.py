"""The checker of `coordinator chaos`, checked: how many seeds it takes until a seeded defect is caught.

    ./run chaos defects [--seeds 10] [--kills 8] [DEFECT...]

Each defect (common/failpoint.h) is built into the workers and run under the preset `kills` with seed 1, 2, 3 ... until a run has a bad
verdict. A healthy run of the same seeds must have a good one. Exit code 1 when a defect is not caught, or a healthy run is.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

DEFECTS = ["commit_before_ack", "offset_outside_state_write", "labels_ignored", "replay_from_offset_plus_2", "fencing_off",
           "epoch_not_raised", "dirty_set_lost_at_swap"]
HEALTHY = "none"


def run(options, defect, seed):
    """One run: the rules that it found broken, by number."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MILLRACE_DEFECT", "NATS_URL")}
    if defect != HEALTHY:
        environment["MILLRACE_DEFECT"] = defect
    done = subprocess.run([os.path.join(options.bin, "coordinator"), "chaos", "--preset", options.preset, "--kills", str(options.kills),
                           "--seed", str(seed), "-o", "json"], capture_output=True, text=True, env=environment)
    if done.returncode not in (0, 1) or not done.stdout:
        # What the defect does may keep the run from its end: that is seen as well, by its exit code.
        return {"?": done.stderr.strip().splitlines()[-1:]}
    verdict = json.loads(done.stdout)
    if verdict["folder"] and defect != HEALTHY:
        shutil.rmtree(verdict["folder"])
    return {rule["number"]: rule["first"] for rule in verdict["rules"] if not rule["kept"]}


def measure(options, defect):
    """(seeds tried, rules broken in the last, seconds)."""
    began = time.monotonic()
    for count, seed in enumerate(range(1, options.seeds + 1), 1):
        broken = run(options, defect, seed)
        print(f"{defect}, seed {seed}: {'broken: ' + json.dumps(broken)[:300] if broken else 'good'}", file=sys.stderr, flush=True)
        if broken:
            return count, broken, time.monotonic() - began
    return options.seeds, {}, time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/test/bin")
    parser.add_argument("--preset", default="kills")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("defects", nargs="*", metavar="DEFECT")
    options = parser.parse_args()
    failed = False
    print(f"{'defect':28} {'seeds until caught':>18}  {'rules broken':14} {'seconds':>8}")
    for defect in options.defects or [HEALTHY, *DEFECTS]:
        seeds, broken, seconds = measure(options, defect)
        is_wrong = bool(broken) == (defect == HEALTHY)
        failed = failed or is_wrong
        caught = f"{seeds}" if broken else f"none of {seeds}"
        print(f"{defect:28} {caught:>18}  {', '.join(map(str, broken)) or '-':14} {seconds:8.0f}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
