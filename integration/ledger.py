"""The ledger: a workload in which a loss, a double or a swap changes the answer, and the checker that knows nothing of Millrace.

Every record of a key is numbered (seq 1, 2, 3, ...). The job keeps {count, sum, chain} for each key, chain = (chain * 31 + seq) mod
1000003, or, on the native path, {count, sum, last}. In a job of two segments the first numbers a key's records once more, and it is
these numbers that the ledger of the second is kept of, under the record's other key.
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


# Put in front of a job's stages: the first segment.
LUA_FIRST = """\
stages:
  - keyed:
      lua: |
        state.n = (state.n or 0) + 1
        emit({{seq = state.n, to = r.to}})
    name: first
  - key_by: 'lua: r.to'
    partitions: 5
"""

NATIVE_FIRST = """\
stages:
  - aggregate: {{seq: count(), to: last(to)}}
    name: first
  - key_by: to
    partitions: 5
"""

JOBS = {"lua": LUA_JOB, "native": NATIVE_JOB, "lua-2": LUA_JOB.replace("stages:\n", LUA_FIRST),
        "native-2": NATIVE_JOB.replace("stages:\n", NATIVE_FIRST)}


def has_two_segments(kind):
    return kind.endswith("-2")


def job_text(kind, name, partitions=8, commit="50ms"):
    return JOBS[kind].format(name=name, partitions=partitions, commit=commit)


def other_key(number):
    """A part of the keys keep their name, and with it perhaps their partition."""
    return f"key-{number}" if number % 3 == 0 else f"moved-{number}"


def write_input(path, records, keys, seed=1, kind="lua"):
    """Numbered records over keys in random order. Returns the oracle: records for each key of the results."""
    rng = random.Random(seed)
    counts = collections.Counter()
    with open(path, "w") as output:
        for _ in range(records):
            number = rng.randrange(keys)
            key, to = f"key-{number}", other_key(number)
            counted = to if has_two_segments(kind) else key
            counts[counted] += 1
            output.write(f'{{"k":"{key}","seq":{counts[counted]},"to":"{to}"}}\n')
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
        expected.update({"chain": chain[key], "seq": seq} if kind.startswith("lua") else {"last": seq})
        if value != expected:
            raise LedgerError(f"key {key}, its output number {seq}: {value}, expected {expected}")
    if seen != counts:
        missing = {key: counts[key] - seen[key] for key in counts if counts[key] != seen[key]}
        more = sorted(set(seen) - set(counts))
        raise LedgerError(f"{sum(missing.values())} outputs missing over {len(missing)} keys; {len(more)} keys of no input")
    return sum(seen.values())
