// Every wrong file and the line that its author reads.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "common/job/job_parser.h"
#include "common/strings.h"

namespace millrace {
namespace {

struct WrongFile {
  std::string_view situation;
  std::string_view text;
  std::string_view message;
};

constexpr WrongFile kWrongFiles[] = {
    {"an empty file", "",
     "job.yaml:1:1: no job — a job file is a mapping with `name`, `source`, `key` and `stages` — try "
     "`coordinator check --help` for an example"},
    {"a list", "- a\n",
     "job.yaml:1:1: no job — a job file is a mapping with `name`, `source`, `key` and `stages` — try "
     "`coordinator check --help` for an example"},
    {"plain words", "these are words\n",
     "job.yaml:1:1: no job — a job file is a mapping with `name`, `source`, `key` and `stages` — try "
     "`coordinator check --help` for an example"},
    {"a byte that is not UTF-8", "name: caf\xe9\n",
     "job.yaml:1:10: a byte that is not UTF-8 — a job file is UTF-8 text — save it as UTF-8"},
    {"a control character",
     "name: a\x01"
     "b\n",
     "job.yaml:1:8: a control character — a job file is text — take it out"},
    {"a tab in the indentation", "name: a\nsource:\n	format: csv\n",
     "job.yaml:3:1: a tab in the indentation — YAML is indented with spaces — put spaces there"},
    {"two documents", "name: a\nkey: k\nstages:\n  - map: r\n---\nname: b\n",
     "job.yaml:5:1: a second document — a job file is one document — put each job into its own file"},
    {"an anchor", "name: &n a\nkey: *n\n",
     "job.yaml:1:7: an anchor or alias — a job file has no & and * references — write the value out, or put "
     "it in quotes"},
    {"an alias", "name: a\nkey: *n\n",
     "job.yaml:2:6: an anchor or alias — a job file has no & and * references — write the value out, or put "
     "it in quotes"},
    {"a tag", "name: !!str a\n",
     "job.yaml:1:7: a tag — a job file has no ! tags — leave it out, or put the value in quotes"},
    {"broken flow", "name: a\nkey: [a, b\nstages: []\n",
     "job.yaml:3:7: not YAML: end of sequence flow not found — the text could not be parsed — close what is "
     "open, and put values with : # { } [ ] , & * ! | > ' \" % @ ` in quotes"},
    {"a key in a value", "name: a\nkey: lua: r.a\n",
     "job.yaml:2:9: not YAML: illegal map value — the text could not be parsed — close what is open, and put "
     "values with : # { } [ ] , & * ! | > ' \" % @ ` in quotes"},
    {"a key twice", "name: a\nname: b\n",
     "job.yaml:2:1: `name` is here twice — a key has one value — leave one of the two out"},
    {"a key that is a list", "? [a]\n: b\n",
     "job.yaml:1:3: a key that is no word — what stands before a `:` is a name — write it in quotes"},
    {"an unknown key", "nmae: a\n",
     "job.yaml:1:1: `nmae`: did you mean `name`? — a job has no such key — use one of name, source, key, "
     "time, partitions, stages, sink, on_error, retry, commit, retain, standby, ttl, tests"},
    {"an unknown key without a near miss", "name: a\nkey: k\nstages:\n  - map: r\nwibble: 1\n",
     "job.yaml:5:1: `wibble`: unknown — a job has no such key — use one of name, source, key, time, "
     "partitions, stages, sink, on_error, retry, commit, retain, standby, ttl, tests"},
    {"no name", "key: k\nstages: [ { map: r } ]\n",
     "job.yaml:1:1: `name` is missing — a job needs it — try `name: delays`"},
    {"a name with a dot-dot", "name: ..\n",
     "job.yaml:1:7: `name` is `..` — it takes 1 to 64 letters, digits, _ and - — try `name: delays`"},
    {"a name with a slash", "name: a/b\n",
     "job.yaml:1:7: `name` is `a/b` — it takes 1 to 64 letters, digits, _ and - — try `name: delays`"},
    {"a name with spaces", "name: two words\n",
     "job.yaml:1:7: `name` is `two words` — it takes 1 to 64 letters, digits, _ and - — try `name: delays`"},
    {"a name of unicode", "name: naïve\n",
     "job.yaml:1:7: `name` is `naïve` — it takes 1 to 64 letters, digits, _ and - — try `name: delays`"},
    {"a name too long", "name: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
     "job.yaml:1:7: `name` is `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` — it takes 1 "
     "to 64 letters, digits, _ and - — try `name: delays`"},
    {"a name that is a list", "name: [a]\n",
     "job.yaml:1:7: `name` is a list — it takes 1 to 64 letters, digits, _ and - — try `name: delays`"},
    {"no key", "name: a\nstages: [ { map: r } ]\n",
     "job.yaml:1:1: `key` is missing — a job whose source is not raw needs it — try `key: origin`"},
    {"an empty key", "name: a\nkey:\nstages: [ { map: r } ]\n",
     "job.yaml:2:1: `key` is empty — it takes a field, a path such as a.b, a list, or { lua: … } — try `key: "
     "origin`"},
    {"a key with an empty part", "name: a\nkey: a..b\n",
     "job.yaml:2:6: `key` is `a..b` — it takes a field or a path such as a.b — try `key: origin`"},
    {"a key list that is empty", "name: a\nkey: []\n",
     "job.yaml:2:6: `key` is a list of 0 — it takes 1 to 16 fields — try `key: [ origin, destination ]`"},
    {"a lua key without code", "name: a\nkey: 'lua:'\n",
     "job.yaml:2:6: `key` is the text `lua:` — it takes an expression behind `lua:` — try `key: { lua: "
     "r.origin }`"},
    {"no stages", "name: a\nkey: k\n",
     "job.yaml:1:1: `stages` is missing — a job needs it — try `stages: [ { filter: r.delay > 0 } ]`"},
    {"an empty list of stages", "name: a\nkey: k\nstages: []\n",
     "job.yaml:3:9: `stages` has 0 of them — a job has 1 to 64 — try `stages: [ { filter: r.delay > 0 } ]`"},
    {"stages that are no list", "name: a\nkey: k\nstages: { map: r }\n",
     "job.yaml:3:9: `stages` is a mapping — it takes a list — try `stages: [ { filter: r.delay > 0 } ]`"},
    {"a format misspelt", "name: a\nsource: { format: josnl }\nkey: k\n",
     "job.yaml:2:19: `josnl`: did you mean `jsonl`? — `format` does not take that — use one of jsonl, csv, "
     "raw"},
    {"types without csv", "name: a\nsource: { types: { z: string } }\nkey: k\n",
     "job.yaml:2:18: `types` without csv — only csv values have no type of their own — leave it out"},
    {"a record size out of range", "name: a\nsource: { max_record: 1TiB }\nkey: k\n",
     "job.yaml:2:23: `max_record` is `1TiB` — it takes a size from 1 B to 64.0 MiB — try `max_record: 1MiB`"},
    {"a subject that is ours", "name: a\nsource: { subject: mr.j.0.1 }\n",
     "job.yaml:2:20: `subject` is `mr.j.0.1` — it takes a NATS subject of your own, which may hold * and end "
     "with > — try `subject: flights.>`"},
    {"a bucket as the source", "name: a\nsource: { stream: KV_x }\n",
     "job.yaml:2:19: `stream` is `KV_x` — it takes the name of a JetStream stream of your own — try `stream: "
     "FLIGHTS`"},
    {"csv messages", "name: a\nsource: { subject: a.b, format: csv }\n",
     "job.yaml:2:9: csv messages — a message has no header row that names its columns — use `format: jsonl`, "
     "or `raw`"},
    {"a time without a field", "name: a\nkey: k\ntime: { format: '%Y' }\n",
     "job.yaml:3:7: `field` is missing — `time` needs it — try `time: { field: date, format: '%Y/%m/%d "
     "%H:%M' }`"},
    {"a time format without fields", "name: a\nkey: k\ntime: { field: t, format: YYYY }\n",
     "job.yaml:3:27: `format` is `YYYY` — it takes a strptime format with %Y %m %d … — try `time: { field: "
     "date, format: '%Y/%m/%d %H:%M' }`"},
    {"partitions of zero", "name: a\nkey: k\npartitions: 0\n",
     "job.yaml:3:13: `partitions` is `0` — it takes a whole number from 1 to 4096 — try `partitions: 16`"},
    {"too many partitions", "name: a\nkey: k\npartitions: 4097\n",
     "job.yaml:3:13: `partitions` is `4097` — it takes a whole number from 1 to 4096 — try `partitions: 16`"},
    {"partitions in words", "name: a\nkey: k\npartitions: four\n",
     "job.yaml:3:13: `partitions` is `four` — it takes a whole number from 1 to 4096 — try `partitions: 16`"},
    {"partitions in quotes", "name: a\nkey: k\npartitions: '4'\n",
     "job.yaml:3:13: `partitions` is the text `4` — it takes a whole number from 1 to 4096 — try "
     "`partitions: 16`"},
    {"a stage misspelt", "name: a\nkey: k\nstages:\n  - agregate: { n: count() }\n",
     "job.yaml:4:5: `agregate`: did you mean `aggregate`? — a stage has no such key — use one of filter, "
     "map, flat_map, aggregate, keyed, window, dedupe, rate_limit, key_by, partition, broadcast, inspect"},
    {"a stage that is a word", "name: a\nkey: k\nstages:\n  - map\n",
     "job.yaml:4:5: `stages` is `map` — it takes a mapping — try `- filter: r.delay > 0`"},
    {"a stage without a kind", "name: a\nkey: k\nstages:\n  - name: x\n",
     "job.yaml:4:5: a stage without a kind — it has to say what it does — use one of filter, map, flat_map, "
     "aggregate, keyed, window, dedupe, rate_limit, key_by, partition, broadcast, inspect"},
    {"two kinds in one stage", "name: a\nkey: k\nstages:\n  - map: r\n    filter: r.a\n",
     "job.yaml:5:5: `filter` and `map` in one stage — a stage does one thing — begin the second with a `-` "
     "of its own"},
    {"an empty expression", "name: a\nkey: k\nstages:\n  - filter:\n",
     "job.yaml:4:5: `filter` is empty — it takes a Lua expression over `r` — try `filter: r.delay > 0`"},
    {"an expression that is a mapping", "name: a\nkey: k\nstages:\n  - filter: { a: b }\n",
     "job.yaml:4:13: `filter` is a mapping — it takes a Lua expression over `r` — try `filter: r.delay > 0`"},
    {"a map without fields", "name: a\nkey: k\nstages:\n  - map: {}\n",
     "job.yaml:4:10: `map` is a mapping — it takes 1 to 4096 fields — try `map: { late: r.delay > 15 }`"},
    {"emit beside a filter", "name: a\nkey: k\nstages:\n  - filter: r.a\n    emit: each\n",
     "job.yaml:5:5: `emit`: unknown — `filter` has no such key — use one of filter, name, timeout, on_error, "
     "retry, concurrency, ordered"},
    {"a function misspelt", "name: a\nkey: k\nstages:\n  - aggregate: { t: summ(delay) }\n",
     "job.yaml:4:21: `summ(delay)`: did you mean `sum(delay)`? — `aggregate` does not know it — use one of "
     "count() sum(f) min(f) max(f) avg(f) first(f) last(f) distinct(f)"},
    {"an unknown function", "name: a\nkey: k\nstages:\n  - aggregate: { t: median(delay) }\n",
     "job.yaml:4:21: `median(delay)`: no such function — `aggregate` does not know it — use one of count() "
     "sum(f) min(f) max(f) avg(f) first(f) last(f) distinct(f)"},
    {"a count of a field", "name: a\nkey: k\nstages:\n  - aggregate: { n: count(x) }\n",
     "job.yaml:4:21: `count(x)`: `count()` takes no field — it counts records — try `count()`"},
    {"a sum of nothing", "name: a\nkey: k\nstages:\n  - aggregate: { n: sum() }\n",
     "job.yaml:4:21: `sum()`: no field to work on — `sum` takes a field or a path such as a.b — try "
     "`sum(delay)`"},
    {"no function", "name: a\nkey: k\nstages:\n  - aggregate: { n: delay }\n",
     "job.yaml:4:21: `n` is `delay` — it takes a function, one of count() sum(f) min(f) max(f) avg(f) "
     "first(f) last(f) distinct(f) — try `aggregate: { flights: count(), total: sum(delay) }`"},
    {"no columns", "name: a\nkey: k\nstages:\n  - aggregate: {}\n",
     "job.yaml:4:16: `aggregate` has 0 columns — it takes 1 to 256 — try `aggregate: { flights: count(), "
     "total: sum(delay) }`"},
    {"an emit misspelt", "name: a\nkey: k\nstages:\n  - aggregate: { n: count() }\n    emit: chanegs\n",
     "job.yaml:5:11: `chanegs`: did you mean `changes`? — `emit` does not take that — use one of each, "
     "changes, final, every 5s"},
    {"an emit without its time",
     "name: a\nkey: k\nstages:\n  - aggregate: { n: count() }\n    emit: every soon\n",
     "job.yaml:5:11: `emit` is `soon` — it takes a duration from 1ms to 365d — try `emit: every 5s`"},
    {"a stage name with a space", "name: a\nkey: k\nstages:\n  - map: r\n    name: a b\n",
     "job.yaml:5:11: `name` is `a b` — it takes 1 to 64 letters, digits, _ and - — try `name: late-only`"},
    {"two stages of one name",
     "name: a\nkey: k\nstages:\n  - map: r\n    name: x\n  - filter: r.a\n    name: x\n",
     "job.yaml:6:5: a second stage with the name `x` — metrics and messages tell stages apart by it — give "
     "it another `name`"},
    {"a timeout without a unit", "name: a\nkey: k\nstages:\n  - map: r\n    timeout: 2\n",
     "job.yaml:5:14: `timeout` is `2` — it takes a duration from 1ms to 1h — try `timeout: 2s`"},
    {"more at once", "name: a\nkey: k\nstages:\n  - map: r\n    concurrency: 4\n",
     "job.yaml:5:18: `concurrency: 4` cannot be used — this version does not have it — leave it out, and "
     "raise `partitions`"},
    {"no order", "name: a\nkey: k\nstages:\n  - map: r\n    ordered: none\n",
     "job.yaml:5:14: `ordered: none` cannot be used — this version does not have it — use `ordered: key`, or "
     "leave it out"},
    {"a window without columns", "name: a\nkey: k\nstages:\n  - window: { tumbling: 1h }\n",
     "job.yaml:4:13: `aggregate` is missing — `window` needs it — try `window: { tumbling: 1h, lateness: 1m, "
     "aggregate: { n: count() } }`"},
    {"a window of no kind", "name: a\nkey: k\nstages:\n  - window: { aggregate: { n: count() } }\n",
     "job.yaml:4:13: a window without a kind — it is `tumbling`, `sliding` or a `session` — try `window: { "
     "tumbling: 1h, lateness: 1m, aggregate: { n: count() } }`"},
    {"a window of two kinds",
     "name: a\nkey: k\nstages:\n  - window: { tumbling: 1h, session: 1h, aggregate: { n: count() } }\n",
     "job.yaml:4:38: `session` beside `tumbling` — a window is of one kind — leave one of the two out"},
    {"a window's size misspelt",
     "name: a\nkey: k\nstages:\n  - window: { tumblin: 1h, aggregate: { n: count() } }\n",
     "job.yaml:4:15: `tumblin`: did you mean `tumbling`? — `window` has no such key — use one of tumbling, "
     "sliding, every, session, lateness, late, aggregate"},
    {"a window of no length",
     "name: a\nkey: k\nstages:\n  - window: { tumbling: 0s, aggregate: { n: count() } }\n",
     "job.yaml:4:25: `tumbling` is `0s` — it takes a duration from 1ms to 3653d — try `tumbling: 1h`"},
    {"a window of half milliseconds",
     "name: a\nkey: k\nstages:\n  - window: { tumbling: 1500us, aggregate: { n: count() } }\n",
     "job.yaml:4:25: `tumbling` is `1500us` — it takes whole milliseconds — try `tumbling: 1h`"},
    {"every without sliding",
     "name: a\nkey: k\nstages:\n  - window: { tumbling: 1h, every: 5m, aggregate: { n: count() } }\n",
     "job.yaml:4:36: `every` without `sliding` — only sliding windows overlap — leave it out"},
    {"sliding without every",
     "name: a\nkey: k\nstages:\n  - window: { sliding: 1h, aggregate: { n: count() } }\n",
     "job.yaml:4:13: `sliding` without `every` — it says how far each window starts behind the last — try "
     "`window: { sliding: 1h, every: 5m, aggregate: { n: count() } }`"},
    {"windows with gaps",
     "name: a\nkey: k\nstages:\n  - window: { sliding: 5m, every: 1h, aggregate: { n: count() } }\n",
     "job.yaml:4:35: `every` is longer than `sliding` — records between two windows would be in none of them "
     "— "
     "try `window: { sliding: 1h, every: 5m, aggregate: { n: count() } }`"},
    {"too many windows at once",
     "name: a\nkey: k\nstages:\n  - window: { sliding: 1001s, every: 1s, aggregate: { n: count() } }\n",
     "job.yaml:4:38: `sliding: 16m41s, every: 1s` — a record would be in more than 1000 windows — try a "
     "longer "
     "`every`"},
    {"a column with the name of a bound",
     "name: a\nkey: k\nstages:\n  - window: { tumbling: 1h, aggregate: { window_end: last(t) } }\n",
     "job.yaml:4:42: `window_end` as a column — the window's own bounds have that name — give it another "
     "name"},
    {"a late that is none",
     "name: a\nkey: k\nstages:\n  - window: { tumbling: 1h, late: dead_leter, aggregate: { n: count() } }\n",
     "job.yaml:4:35: `dead_leter`: did you mean `dead_letter`? — `late` does not take that — use one of "
     "dead_letter, drop"},
    {"a window with emit",
     "name: a\nkey: k\nstages:\n  - window: { tumbling: 1h, aggregate: { n: count() } }\n    emit: each\n",
     "job.yaml:5:5: `emit` cannot be used — this version does not have it — leave it out: a window is put "
     "out "
     "when it closes"},
    {"an aggregate beside its window",
     "name: a\nkey: k\nstages:\n  - window: { tumbling: 1h }\n    aggregate: { n: count() }\n",
     "job.yaml:5:5: `aggregate` and `window` in one stage — a stage does one thing — write it as `window: { "
     "tumbling: 1h, aggregate: { … } }`"},
    {"a dedupe by nothing", "name: a\nkey: k\nstages:\n  - dedupe: { within: 1h }\n",
     "job.yaml:4:13: `by` is missing — `dedupe` needs it — try `dedupe: { by: r.id, within: 1h }`"},
    {"a dedupe that is an expression", "name: a\nkey: k\nstages:\n  - dedupe: r.id\n",
     "job.yaml:4:13: `dedupe` is `r.id` — it takes a mapping — try `dedupe: { by: r.id, within: 1h }`"},
    {"a dedupe within no time", "name: a\nkey: k\nstages:\n  - dedupe: { by: r.id, within: 0s }\n",
     "job.yaml:4:33: `within` is `0s` — it takes a duration from 1ms to 3653d — try `dedupe: { by: r.id, "
     "within: 1h }`"},
    {"a dedupe misspelt", "name: a\nkey: k\nstages:\n  - dedup: { by: r.id }\n",
     "job.yaml:4:5: `dedup`: did you mean `dedupe`? — a stage has no such key — use one of filter, map, "
     "flat_map, aggregate, keyed, window, dedupe, rate_limit, key_by, partition, broadcast, inspect"},
    {"a partition into nothing", "name: a\nkey: k\nstages:\n  - partition: []\n",
     "job.yaml:4:16: `partition` has 0 branches — it takes 1 to 16 — try `partition: [ { when: r.urgent, "
     "stages: [ { map: r } ] }, { stages: [] } ]`"},
    {"a partition that is a mapping", "name: a\nkey: k\nstages:\n  - partition: { when: r.a }\n",
     "job.yaml:4:16: `partition` is a mapping — it takes a list — try `partition: [ { when: r.urgent, "
     "stages: "
     "[ { map: r } ] }, { stages: [] } ]`"},
    {"a rest in front of others",
     "name: a\nkey: k\nstages:\n  - partition:\n      - stages: []\n      - when: r.a\n        stages: []\n",
     "job.yaml:5:9: a branch without `when` in front of another — it takes every record that comes to it — "
     "give it a `when`, or put it last"},
    {"a branch without stages", "name: a\nkey: k\nstages:\n  - partition:\n      - when: r.a\n",
     "job.yaml:5:9: `stages` is missing — a branch needs it — try `partition: [ { when: r.urgent, stages: [ "
     "{ "
     "map: r } ] }, { stages: [] } ]`"},
    {"a stage of a branch misspelt",
     "name: a\nkey: k\nstages:\n  - partition:\n      - stages:\n          - filtr: r.a\n",
     "job.yaml:6:13: `filtr`: did you mean `filter`? — a stage has no such key — use one of filter, map, "
     "flat_map, aggregate, keyed, window, dedupe, rate_limit, key_by, partition, broadcast, inspect"},
    {"a key_by in a branch",
     "name: a\nkey: k\nstages:\n  - broadcast:\n      - stages:\n          - key_by: x\n",
     "job.yaml:6:13: `key_by` in a branch — it ends a segment, for all records — put it in front of the "
     "branches, or behind them"},
    {"a condition in a broadcast",
     "name: a\nkey: k\nstages:\n  - broadcast:\n      - when: r.a\n        stages: []\n",
     "job.yaml:5:9: `when`: unknown — a branch of `broadcast` has no such key — use one of stages"},
    {"one name in two branches",
     "name: a\nkey: k\nstages:\n  - broadcast:\n      - stages: [ { name: x, map: r } ]\n      - stages: [ { "
     "name: x, map: r } ]\n",
     "job.yaml:6:19: a second stage with the name `x` — metrics and messages tell stages apart by it — give "
     "it another `name`"},
    {"balance", "name: a\nkey: k\nstages:\n  - balance: 4\n    stages: []\n",
     "job.yaml:4:5: `balance` cannot be used — this version does not have it — raise `partitions`"},
    {"call", "name: a\nkey: k\nstages:\n  - call: { http: x }\n",
     "job.yaml:4:5: `call` cannot be used — this version does not have it — call the service from a reader "
     "of the results"},
    {"a plugin", "name: a\nkey: k\nstages:\n  - keyed: { plugin: f.so }\n",
     "job.yaml:4:14: `plugin` cannot be used — this version does not have it — write it as `keyed: { lua: … "
     "}`"},
    {"a remote handler", "name: a\nkey: k\nstages:\n  - keyed: { remote: tcp://x }\n",
     "job.yaml:4:14: `remote` cannot be used — this version does not have it — write it as `keyed: { lua: … "
     "}`"},
    {"keyed code at the wrong place", "name: a\nkey: k\nstages:\n  - keyed: emit(r)\n",
     "job.yaml:4:12: `keyed` is `emit(r)` — it takes a mapping — try `keyed: { lua: 'state.n = (state.n or "
     "0) + 1; emit(state.n)' }`"},
    {"a sink elsewhere", "name: a\nkey: k\nstages:\n  - map: r\nsink: { subject: s }\n",
     "job.yaml:5:7: `sink: subject` cannot be used — this version does not have it — use `sink: results`, "
     "and read them with `coordinator results JOB --follow`"},
    {"a sink in a file", "name: a\nkey: k\nstages:\n  - map: r\nsink: 'file: out'\n",
     "job.yaml:5:7: `sink: file` cannot be used — this version does not have it — use `sink: results`, and "
     "read them with `coordinator results JOB --follow`"},
    {"a sink misspelt", "name: a\nkey: k\nstages:\n  - map: r\nsink: result\n",
     "job.yaml:5:7: `result`: did you mean `results`? — `sink` does not take that — use one of results, "
     "none"},
    {"an on_error misspelt", "name: a\nkey: k\nstages:\n  - map: r\non_error: dead_leter\n",
     "job.yaml:5:11: `dead_leter`: did you mean `dead_letter`? — `on_error` does not take that — use one of "
     "dead_letter, skip, fail, retry"},
    {"retry beside skip", "name: a\nkey: k\nstages:\n  - map: r\non_error: skip\nretry: { attempts: 3 }\n",
     "job.yaml:5:11: `retry` beside another `on_error` — attempts only count with `on_error: retry` — leave "
     "one of the two out"},
    {"no attempts", "name: a\nkey: k\nstages:\n  - map: r\nretry: { attempts: 0 }\n",
     "job.yaml:5:20: `attempts` is `0` — it takes a whole number from 1 to 100 — try `retry: { attempts: 3, "
     "backoff: 100ms..10s }`"},
    {"backoff backwards", "name: a\nkey: k\nstages:\n  - map: r\nretry: { backoff: 10s..1s }\n",
     "job.yaml:5:19: `backoff` is `10s..1s` — it takes the shortest pause first, the longest behind the dots "
     "— try `retry: { attempts: 3, backoff: 100ms..10s }`"},
    {"a commit without its interval", "name: a\nkey: k\nstages:\n  - map: r\ncommit: {}\n",
     "job.yaml:5:9: `interval` is missing — `commit` needs it — try `commit: { interval: 1s }`"},
    {"a commit too often", "name: a\nkey: k\nstages:\n  - map: r\ncommit: { interval: 1ms }\n",
     "job.yaml:5:21: `interval` is `1ms` — it takes a duration from 10ms to 1h — try `commit: { interval: 1s "
     "}`"},
    {"retain: none", "name: a\nkey: k\nstages:\n  - map: r\nretain: none\n",
     "job.yaml:5:9: `retain: none` cannot be used — this version does not have it — use `retain: results`, "
     "and "
     "delete the job when it is done"},
    {"a ttl too short", "name: a\nkey: k\nstages:\n  - map: r\nttl: 10ms\n",
     "job.yaml:5:6: `ttl` is `10ms` — it takes a duration from 1s to 3653d — try `ttl: 30d`"},
    {"two standbys", "name: a\nkey: k\nstages:\n  - map: r\nstandby: 2\n",
     "job.yaml:5:10: `standby` is `2` — it takes a whole number from 0 to 1 — try `standby: 1`"},
    {"a test without a name", "name: a\nkey: k\nstages:\n  - map: r\ntests: [ { input: [], expect: [] } ]\n",
     "job.yaml:5:10: `name` is missing — a test needs it — try `name: sums`"},
    {"a test without expectations",
     "name: a\nkey: k\nstages:\n  - map: r\ntests: [ { name: t, input: [] } ]\n",
     "job.yaml:5:10: `expect` is missing — a test needs it — try `expect: []`"},
    {"a test whose input is a mapping",
     "name: a\nkey: k\nstages:\n  - map: r\ntests: [ { name: t, input: { a: 1 }, expect: [] } ]\n",
     "job.yaml:5:28: `input` is a mapping — it takes a list — try `input: [ { origin: ATL } ]`"},
    {"an expected result without a value",
     "name: a\nkey: k\nstages:\n  - map: r\ntests: [ { name: t, input: [], expect: [ { key: k } ] } ]\n",
     "job.yaml:5:42: `value` is missing — an expected result needs it — try `expect: [ { key: ATL, value: { "
     "flights: 1 } } ]`"},
    {"a mapping as csv",
     "name: a\nkey: k\nsource: { format: csv }\nstages: [ { map: r } ]\ntests: [ { name: t, input: [ { a: 1 "
     "} ], expect: [] } ]\n",
     "job.yaml:5:30: `input` is a mapping — it takes a line as a string — try `input: [ 'ATL,7' ]`"},
};

TEST(JobErrors, SayWhereWhatWhyAndWhatToTry) {
  for (const WrongFile& file : kWrongFiles) {
    const auto spec = ParseJob("job.yaml", file.text);
    EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << file.situation;
    EXPECT_EQ(ToStd(spec.status().message()), file.message) << file.situation;
  }
}

TEST(JobErrors, ShortenAndEscapeWhatTheyQuote) {
  const std::string long_word(200, 'x');
  const auto spec = ParseJob("job.yaml", StrCat("\"a\\nb", long_word, "\": 1\n"));
  const std::string message(ToStd(spec.status().message()));
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(message.rfind("job.yaml:1:1: `a\\nbxxx", 0), 0u) << message;
  EXPECT_LT(message.size(), 300u);
}

}  // namespace
}  // namespace millrace
