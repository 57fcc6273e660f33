"""The ledger: a workload in which a loss, a double or a swap changes the answer, and the checker that knows nothing of Millrace.

Every record of a key is numbered (seq 1, 2, 3, ...). The job keeps {count, sum, chain} for each key, chain = (chain * 31 + seq) mod
1000003, or, on the native path, {count, sum, last}.
"""

import collections
import json
import random

CHAIN_MODULUS = 1_000_003

LUA_JOB = """\
name: {name}
source: {{format: jsonl}}
key: k
partitions: {partitions}
stages:
  - keyed:
      lua: |
        state.count = (state.count or 0) + 1
        state.sum = (state.sum or 0) + r.seq
        state.chain = ((state.chain or 0) * 31 + r.seq) % 1000003
        emit({{count = state.count, sum = state.sum, chain = state.chain, seq = r.seq}})
commit: {{interval: {commit}}}
"""

NATIVE_JOB = """\
name: {name}
source: {{format: jsonl}}
key: k
partitions: {partitions}
stages:
  - aggregate: {{count: count(), sum: sum(seq), last: last(seq)}}
commit: {{interval: {commit}}}
"""


def job_text(kind, name, partitions=8, commit="50ms"):
    return {"lua": LUA_JOB, "native": NATIVE_JOB}[kind].format(name=name, partitions=partitions, commit=commit)


def write_input(path, records, keys, seed=1):
    """Numbered records over keys in random order. Returns the oracle: records for each key."""
    rng = random.Random(seed)
    counts = collections.Counter()
    with open(path, "w") as output:
        for _ in range(records):
            key = f"key-{rng.randrange(keys)}"
            counts[key] += 1
            output.write(f'{{"k":"{key}","seq":{counts[key]}}}\n')
    return counts


class LedgerError(AssertionError):
    pass


def check_results(lines, counts, kind):
    """Requires every record's effect once and in order, every label once and rising, and nothing that no input explains."""
    labels = collections.defaultdict(lambda: (-1, -1))
    seen, total, chain = collections.Counter(), collections.Counter(), collections.Counter()
    for line in lines:
        result = json.loads(line) if isinstance(line, (str, bytes)) else line
        label = (result["offset"], result["index"])
        if label <= labels[result["partition"]]:
            raise LedgerError(f"partition {result['partition']}: label {label} after {labels[result['partition']]}")
        labels[result["partition"]] = label
        key, value = result["key"], result["value"]
        seen[key] += 1
        seq = seen[key]
        total[key] += seq
        chain[key] = (chain[key] * 31 + seq) % CHAIN_MODULUS
        expected = {"count": seq, "sum": total[key]}
        expected.update({"chain": chain[key], "seq": seq} if kind == "lua" else {"last": seq})
        if value != expected:
            raise LedgerError(f"key {key}, its output number {seq}: {value}, expected {expected}")
    if seen != counts:
        missing = {key: counts[key] - seen[key] for key in counts if counts[key] != seen[key]}
        more = sorted(set(seen) - set(counts))
        raise LedgerError(f"{sum(missing.values())} outputs missing over {len(missing)} keys; {len(more)} keys of no input")
    return sum(seen.values())
