"""The table of ./run bench: one line a measurement, the ceiling beside it, and the change since the last run here."""

COLUMNS = ("measurement", "Millrace", "ceiling", "ratio", "aim", "core-s/M", "ceiling", "peak memory", "change")
AIMS = {"total-10k": ">= 85 %", "total-1m": ">= 60 %", "single": ">= 80 %", "two-segments": ">= 43 %", "submit": ">= 500 K/s", "latency p50": "< 2 ms",
        "latency p99": "< 15 ms", "restart": "< 1 s", "takeover": "< 8 s", "checkpoints": ">= 95 %", "memory": "<= 600 MiB"}


def throughput(records_per_s):
    return f"{records_per_s / 1e6:.2f} M/s" if records_per_s >= 1e6 else f"{records_per_s / 1e3:.0f} K/s"


def mebibytes(count):
    return f"{count / 2**20:.0f} MiB" if count else ""


def milliseconds(value):
    return f"{value:.2f} ms" if value < 100 else f"{value / 1e3:.2f} s"


def change(now, before, name):
    if not before.get(name):
        return ""
    return f"{(now[name] / before[name] - 1) * 100:+.0f} %"


def throughput_row(name, now, before):
    return (name, throughput(now["records_per_s"]), throughput(now["ceiling_records_per_s"]), f"{now['ratio'] * 100:.0f} %",
            AIMS[name], f"{now['cpu_s_per_m']:.2f}", f"{now['ceiling_cpu_s_per_m']:.2f}", mebibytes(now["peak_bytes"]),
            change(now, before, "records_per_s"))


def time_row(title, field, now, before):
    return (title, milliseconds(now[field]), milliseconds(now[f"ceiling_{field}"]), "", AIMS[title], "", "",
            mebibytes(now.get("peak_bytes", 0)), change(now, before, field))


def rows(results, before):
    for name, now in results.items():
        then = before.get(name, {})
        if name == "latency":
            yield time_row("latency p50", "p50_ms", now, then)
            yield time_row("latency p99", "p99_ms", now, then)
        elif name == "pools":
            for order in ("key", "none"):
                yield (f"pools, order {order}", f"{now[order]['seconds']:.2f} s", f"{now[order]['ceiling_seconds']:.2f} s", f"{now[order]['ratio']:.2f}",
                       "<= 1.05", "", "", "", change(now[order], then.get(order, {}), "ratio"))
            yield ("a hop in a pool", f"{now['hop_us']:.2f} us", "", "", "<= 1 us", f"{now['pooled_us']:.2f}", f"{now['inline_us']:.2f}", "",
                   change(now, then, "hop_us"))
        elif name == "python-handlers":
            yield (name, throughput(now["records_per_s"]), "", "", ">= 150 K/s", "", "", "", change(now, then, "records_per_s"))
        elif name in ("restart", "takeover"):
            yield time_row(name, f"{name}_ms", now, then)
        else:
            yield throughput_row(name, now, then)


def table(machine, size, results, before):
    lines = [COLUMNS, *rows(results, before)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    text = [f"{machine['cores']} cores, nats-server {machine['nats_server']}, broker on the same machine, {size} size; "
            f"load before: {machine['load_before']:.1f}"]
    for line in lines:
        cells = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text)
