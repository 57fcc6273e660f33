"""The measurements of ./run bench. Each has a cluster of its own (broker, coordinator, worker, on free ports, under a
temporary folder), checks that the answer is right where there is one, and gives a dict of plain numbers."""

import contextlib
import json
import os
import pathlib
import resource
import subprocess
import tempfile
import time

import cluster
import handlers
import ledger

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLIGHTS = ROOT / "examples/data/flights.jsonl"
PARTITIONS = 16
PATIENCE_SECONDS = 1200     # no single tool takes longer
PACK_BYTES = 64 << 10       # what a worker packs into one message of results
JOB = "bench"
HANDLER_JOB = """\
name: {name}
key: k
partitions: 4
stages:
  - keyed: {{ remote: '{endpoint}' }}
"""
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Bench:
    """A cluster, the tools beside it, and the processes whose cost counts."""

    def __init__(self, lease_ttl="5s"):
        self.cluster = cluster.Cluster(lease_ttl=lease_ttl)
        self.worker_flags = ()

    def __enter__(self):
        self.cluster.__enter__()
        return self

    def __exit__(self, *error):
        self.cluster.__exit__(*error)

    def command(self, tool, *arguments):
        return [str(cluster.BIN / "bench_tools"), tool, *map(str, arguments), "--nats", self.cluster.nats.url, "--log-level", "warning"]

    def tool(self, tool, *arguments):
        done = subprocess.run(self.command(tool, *arguments), capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        if done.returncode != 0:
            raise AssertionError(f"bench_tools {tool} failed: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout else None

    @contextlib.contextmanager
    def beside(self, tool, *arguments):
        """A tool that runs while the body does, and is ended with it."""
        process = subprocess.Popen(self.command(tool, *arguments), stdout=subprocess.PIPE, text=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()

    def start_worker(self):
        return self.cluster.start_worker("bench", flags=self.worker_flags)

    def pids(self, *processes):
        watched = [self.cluster.nats.process, self.cluster.coordinator, *processes]
        return ",".join(str(p.pid) for p in watched)

    def fill(self, records, keys, *flags, job=JOB):
        return self.tool("fill", "--job", job, "--partitions", PARTITIONS, "--records", records, "--keys", keys, *flags)["uid"]

    def echo(self, *flags, job=JOB, partitions=PARTITIONS):
        return self.tool("echo", "--job", job, "--partitions", partitions, "--pids", self.pids(), *flags)


def peak_bytes(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def rate(records, measured):
    return {"records_per_s": records / measured["seconds"], "cpu_s_per_m": measured["cpu"]["sum"] / records * 1e6}


def beside_echo(records, measured, echoes):
    """The run's numbers and, as the ceiling, the faster echo of those made before and after it."""
    best = min(echoes, key=lambda echo: echo["seconds"])
    ceiling = rate(records, best)
    result = {"records": records, "seconds": measured["seconds"], **rate(records, measured),
              "ceiling_records_per_s": ceiling["records_per_s"], "ceiling_cpu_s_per_m": ceiling["cpu_s_per_m"]}
    result["ratio"] = result["records_per_s"] / result["ceiling_records_per_s"]
    if "each" in measured["cpu"] and len(measured["cpu"]["each"]) == 3:
        result["cpu_split_s"] = dict(zip(("nats_server", "coordinator", "worker"), measured["cpu"]["each"]))
    return result


def running_total(records, keys, fill_flags=(), echo_flags=(), worker_flags=()):
    """Input first, then the worker: what is measured is a worker that never waits for its source."""
    with Bench() as bench:
        bench.worker_flags = worker_flags
        uid = bench.fill(records, keys, *fill_flags)
        echoes = [bench.echo(*echo_flags)]
        worker = bench.start_worker()
        measured = bench.tool("watch", "--job", JOB, "--partitions", PARTITIONS, "--pids", bench.pids(worker))
        peak = peak_bytes(worker)
        worker.stop()
        echoes.append(bench.echo(*echo_flags))
        bench.tool("check", "--job", JOB, "--uid", uid, "--partitions", PARTITIONS, "--records", records, "--keys", keys)
        return {**beside_echo(records, measured, echoes), "peak_bytes": peak, "right": True}


def total_10k(shrink):
    """running totals of 10 K keys, records of 32 bytes in frames of 128, a commit each second"""
    return running_total(16_000_000 // shrink, 10_000)


def total_1m(shrink):
    """running totals of 1 M keys, otherwise the same"""
    return running_total(16_000_000 // shrink, 1_000_000 // shrink)


def single(shrink):
    """one JSON record a message, as any NATS client publishes them; the ceiling packs its output as Millrace does"""
    return running_total(1_000_000 // shrink, 10_000, ("--plain",), ("--pack", PACK_BYTES))


def two_segments(shrink):
    """running totals that cross into a second segment under another key; the ceiling is the same input in one segment"""
    records = 8_000_000 // shrink
    one = running_total(records, 10_000)
    two = running_total(records, 10_000, ("--two-segments",))
    return {**two, "ceiling_records_per_s": one["records_per_s"], "ceiling_cpu_s_per_m": one["cpu_s_per_m"],
            "ratio": two["records_per_s"] / one["records_per_s"], "work_ratio": two["cpu_s_per_m"] / one["cpu_s_per_m"]}


def submit(shrink):
    """`submit --wait` of flights as JSON lines until the job has completed; the ceiling echoes the frames it made"""
    times = 150 // shrink
    flights = FLIGHTS.read_bytes()
    records = flights.count(b"\n") * times
    with Bench() as bench:
        source = bench.cluster.folder / "flights.jsonl"
        with open(source, "wb") as output:
            for _ in range(times):
                output.write(flights)
        job_file = ROOT / "examples/running-totals/job.yaml"
        worker = bench.start_worker()
        cluster.wait_for(lambda: any(w["state"] == "ready" for w in bench.cluster.json("workers")), "the worker is ready")
        watched = [bench.cluster.nats.process, bench.cluster.coordinator, worker]
        before = sum(map(cpu_seconds, watched)) + children_cpu_seconds()
        began = time.monotonic()
        bench.cluster.run("submit", job_file, "--input", source, "--wait", timeout=PATIENCE_SECONDS)
        seconds = time.monotonic() - began
        used = sum(map(cpu_seconds, watched)) + children_cpu_seconds() - before
        peak = peak_bytes(worker)
        if bench.cluster.status("running-totals")["records_out"] != records:
            raise AssertionError("submit: not as many results as flights")
        partitions = len(bench.cluster.json("partitions", "running-totals"))
        worker.stop()
        echoes = [bench.echo(job="running-totals", partitions=partitions) for _ in range(2)]
        measured = {"seconds": seconds, "cpu": {"sum": used}}
        return {**beside_echo(records, measured, echoes), "peak_bytes": peak, "right": True}


def latency(shrink):
    """10,000 records a second, one a message: from the time a record was due to its result in a reader's hands"""
    flags = ["--job", JOB, "--partitions", PARTITIONS, "--rate", 10_000, "--seconds", max(3, 20 // shrink)]
    with Bench() as bench:
        with bench.beside("echo", "--job", JOB, "--to", "copy", "--partitions", PARTITIONS, "--follow"):
            ceiling = bench.tool("latency", *flags, "--copies", "copy")
    with Bench() as bench:
        worker = bench.start_worker()
        measured = bench.tool("latency", *flags)
        peak = peak_bytes(worker)
    return {**measured, **{f"ceiling_{name}": value for name, value in ceiling.items()}, "peak_bytes": peak}


def restart_ms(keys):
    """A worker with so many keys on its disk is killed, finds new records, and is started again."""
    with Bench() as bench:
        bench.fill(keys, keys, "--open")
        worker = bench.start_worker()
        bench.tool("watch", "--job", JOB, "--partitions", PARTITIONS, "--until", "records", "--records", keys)
        cluster.wait_for(lambda: all(row["committed_offset"] == row["end"] for row in bench.cluster.json("partitions", JOB)),
                         "everything is committed")
        worker.kill()
        bench.fill(100 * PARTITIONS, keys, "--plain", "--open")
        with bench.beside("watch", "--job", JOB, "--partitions", PARTITIONS, "--until", "first", "--behind") as watch:
            watch.stdout.readline()
            began_ns = time.time_ns()
            bench.start_worker()
            first = json.loads(watch.stdout.readline())
        return (first["first_ns"] - began_ns) / 1e6


def restart(shrink):
    """from the start of a worker that was killed to its first new result; the ceiling has a thousand keys on its disk, not 1 M"""
    keys = 1_000_000 // shrink
    return {"keys": keys, "restart_ms": restart_ms(keys), "ceiling_restart_ms": restart_ms(1_000)}


def takeover_ms(keys):
    """A worker with so many keys is killed; another one, with nothing on its disk, has the checkpoints."""
    with Bench() as bench:
        bench.worker_flags = ("--checkpoints", bench.cluster.folder / "checkpoints", "--checkpoint-interval", "1s")
        bench.fill(keys, keys, "--open")
        worker = bench.start_worker()
        bench.tool("watch", "--job", JOB, "--partitions", PARTITIONS, "--until", "records", "--records", keys)
        cluster.wait_for(lambda: all(row["checkpoint_offset"] == row["end"] for row in bench.cluster.json("partitions", JOB)),
                         "everything is in a checkpoint")
        killed_ns = time.time_ns()
        worker.kill()
        bench.fill(100 * PARTITIONS, keys, "--plain", "--open")
        with bench.beside("watch", "--job", JOB, "--partitions", PARTITIONS, "--until", "first", "--behind") as watch:
            watch.stdout.readline()
            heir = bench.cluster.start_worker("heir", flags=bench.worker_flags)
            first = json.loads(watch.stdout.readline())
        if pathlib.Path(heir.log).read_text().count("checkpoint restored") != PARTITIONS:
            raise AssertionError("take-over: the checkpoints were not used")
        return (first["first_ns"] - killed_ns) / 1e6


def takeover(shrink):
    """from the end of a worker, over its lease of 5 s, to the first new result of another that restores its checkpoints; the
    ceiling has a thousand keys"""
    keys = 1_000_000 // shrink
    return {"keys": keys, "takeover_ms": takeover_ms(keys), "ceiling_takeover_ms": takeover_ms(1_000)}


def one_total(records, keys, worker_flags):
    with Bench() as bench:
        bench.worker_flags = tuple(flag.format(folder=bench.cluster.folder) for flag in worker_flags)
        uid = bench.fill(records, keys)
        worker = bench.start_worker()
        measured = bench.tool("watch", "--job", JOB, "--partitions", PARTITIONS, "--pids", bench.pids(worker))
        peak = peak_bytes(worker)
        worker.stop()
        bench.tool("check", "--job", JOB, "--uid", uid, "--partitions", PARTITIONS, "--records", records, "--keys", keys)
        stored = pathlib.Path(worker.log).read_text().count("checkpoint stored")
        return {**rate(records, measured), "seconds": measured["seconds"], "peak_bytes": peak, "stored": stored}


def checkpoints(shrink):
    """running totals of 1 M keys with a checkpoint of every partition each 5 s; the ceiling makes none"""
    records, keys = 48_000_000 // shrink, 1_000_000 // shrink
    without = one_total(records, keys, ())
    made = one_total(records, keys, ("--checkpoints", "{folder}/checkpoints", "--checkpoint-interval", "5s"))
    return {**made, "ceiling_records_per_s": without["records_per_s"], "ceiling_cpu_s_per_m": without["cpu_s_per_m"],
            "ratio": made["records_per_s"] / without["records_per_s"], "right": True}


def memory(shrink):
    """10 M keys in a worker that may use 256 MiB for state: the right answer, and what the process took"""
    keys = 10_000_000 // shrink
    return running_total(keys + keys // 5, keys, worker_flags=("--memory", "256MiB"))


def pools(shrink):
    """16 threads: calls of 0 to 5 ms, of 20 keys in order and without order, beside the least time that they need; and what a hop costs quick ones"""
    with Bench() as bench:
        return bench.tool("pools", "--records", 10_000 // shrink)


def python_handlers(shrink):
    """a keyed stage in 4 Python processes, 1,000 keys"""
    records = 1_000_000 // shrink
    with Bench() as bench, tempfile.TemporaryDirectory(prefix="mr-") as sockets:
        place = bench.cluster.folder
        text = HANDLER_JOB.format(name=JOB, endpoint=f"ipc://{sockets}/{{worker}}.sock")
        counts = ledger.write_input(place / "input.jsonl", records, 1000)
        bench.cluster.run("submit", bench.cluster.write("job.yaml", text), "--input", place / "input.jsonl")
        program = ROOT / "integration/handler_programs.py"
        bench.cluster.others.append(handlers.serve(program, f"ipc://{sockets}/*.sock", place / "handlers.log", 4))
        began = time.monotonic()
        bench.start_worker()
        bench.cluster.wait_state(JOB, "completed")
        seconds = time.monotonic() - began
        ledger.check_results(bench.cluster.results(JOB), counts, "lua")
        return {"records": records, "seconds": seconds, "records_per_s": records / seconds, "right": True}


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def children_cpu_seconds():
    """Of the children that have ended: the command that was just run."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def describe(run):
    return " ".join(run.__doc__.split())


RUNS = {"total-10k": total_10k, "total-1m": total_1m, "single": single, "two-segments": two_segments, "submit": submit, "latency": latency,
        "restart": restart, "takeover": takeover, "checkpoints": checkpoints, "memory": memory,
        "pools": pools, "python-handlers": python_handlers}
FULL_ONLY = ("memory", "checkpoints")
