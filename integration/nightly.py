"""What is too long for every change: the runs of a night, one after the other, and a table of their verdicts.

    ./run nightly [--kills 500] [--rate 7000] [--seeds 20000] [--plan-seeds 3] [--only NAME...]

Each preset of `coordinator chaos` runs from several seeds, `kills` and `kills_replicated` with many kills under so many records a second of each
of the three ledger jobs (with the defaults 10 million and more of each), then the simulation; then every kind of handler with every concurrency and order (test_matrix.py); then each seeded defect has to be caught by both. A run that fails
leaves its folder, which the table names; the others go on. Exit code 1 when any failed.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LONG = {"kills", "kills_replicated"}  # run once, with --kills
ONCE = {"zombies"}  # a thousand of them: half an hour


class Night:
    def __init__(self, options):
        self.options = options
        self.rows = []

    def wanted(self, name):
        return not self.options.only or name in self.options.only

    def run(self, name, *command, environment=None):
        """Runs it, notes the row, and returns what it printed."""
        began = time.monotonic()
        done = subprocess.run([os.path.join(self.options.bin, command[0]), *command[1:]], capture_output=True, text=True,
                              env={**os.environ, "NATS_URL": "", **(environment or {})})
        seconds = time.monotonic() - began
        self.rows.append((name, done.returncode == 0, seconds, self.says(done)))
        verdict = "good" if done.returncode == 0 else "FAILED"
        print(f"{name:34} {verdict:8} {seconds:7.0f} s  {self.rows[-1][3]}", flush=True)

    @staticmethod
    def says(done):
        """One line of what was covered, or of what went wrong."""
        try:
            verdict = json.loads(done.stdout)
        except ValueError:
            lines = (done.stdout + done.stderr).strip().splitlines()
            return lines[-2] if done.returncode == 0 and len(lines) > 1 else " | ".join(lines[-2:])
        covered = verdict["covered"]
        broken = [f"rule {rule['number']}: {rule['first'][0]}" for rule in verdict["rules"] if not rule["kept"]]
        if broken:
            return f"{'; '.join(broken)} ({verdict['folder']})"
        recovery = covered["recovery_ms"]
        return (f"{covered['records']} records, {sum(covered['with_effect'].values())} faults with effect, "
                f"{sum(covered['kills'].values())} kills, {covered['stale_messages']} late messages dropped, "
                f"out again after {recovery['p50']} ms (p99 {recovery['p99']})")

    def presets(self):
        listed = subprocess.run([os.path.join(self.options.bin, "coordinator"), "chaos", "--list", "-o", "json"], capture_output=True,
                                text=True, check=True)
        return [row["preset"] for row in json.loads(listed.stdout)]

    def with_rate(self, preset, folder):
        """Its file with the rate of the long runs in place of its own."""
        text = subprocess.run([os.path.join(self.options.bin, "coordinator"), "chaos", "--show", preset], capture_output=True, text=True,
                              check=True).stdout
        changed, found = re.subn(r"\brate: \d+", f"rate: {self.options.rate}", text)
        if found != 1:
            raise ValueError(f"{preset} names {found} rates")
        path = os.path.join(folder, f"{preset}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(changed)
        return path

    def chaos(self):
        for preset in self.presets():
            if not self.wanted(preset):
                continue
            if preset in LONG:
                with tempfile.TemporaryDirectory() as folder:
                    self.run(f"chaos {preset}, seed 1", "coordinator", "chaos", self.with_rate(preset, folder), "--seed", "1", "--kills",
                             str(self.options.kills), "-o", "json")
                continue
            for seed in [1] if preset in ONCE else range(1, self.options.plan_seeds + 1):
                self.run(f"chaos {preset}, seed {seed}", "coordinator", "chaos", "--preset", preset, "--seed", str(seed), "-o", "json")

    def simulation(self):
        if self.wanted("simulation"):
            self.run("simulation", "simulation", "--seeds", str(self.options.seeds))

    def matrix(self):
        if not self.wanted("matrix"):
            return
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-B", "-m", "unittest", "-v", "test_matrix"], cwd=HERE, env={
            **os.environ, "NATS_URL": "", "MILLRACE_BIN": os.path.abspath(self.options.bin), "MILLRACE_MATRIX": "whole"})
        self.rows.append(("matrix", done.returncode == 0, time.monotonic() - began, ""))

    def defects(self):
        if not self.wanted("defects"):
            return
        began = time.monotonic()
        done = subprocess.run([sys.executable, os.path.join(HERE, "chaos_defects.py"), "--bin", self.options.bin])
        self.rows.append(("defects", done.returncode == 0, time.monotonic() - began, ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--kills", type=int, default=500, help="of each long run (default: 500)")
    parser.add_argument("--rate", type=int, default=7000, help="records a second of each job in each long run (default: 7000)")
    parser.add_argument("--seeds", type=int, default=20000, help="of the simulation (default: 20000)")
    parser.add_argument("--plan-seeds", type=int, default=3, help="of each other preset (default: 3)")
    parser.add_argument("--only", nargs="*", default=[], help="presets, or `simulation`, `matrix`, `defects`")
    night = Night(parser.parse_args())
    night.chaos()
    night.simulation()
    night.matrix()
    night.defects()
    failed = [name for name, good, _, _ in night.rows if not good]
    print(f"\n{len(night.rows)} runs in {sum(row[2] for row in night.rows) / 60:.0f} minutes, {len(failed)} failed"
          + (f": {', '.join(failed)}" if failed else ""))
    sys.exit(1 if failed or not night.rows else 0)


if __name__ == "__main__":
    main()
