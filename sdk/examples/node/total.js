// A handler in Node, without a package: a running total for each key, for one worker, as docs/handlers.md has it.
//
//     npm install && node total.js ipc:///run/total-w1.sock
import { decode, encode } from "@msgpack/msgpack";
import { Dealer } from "zeromq";

const wide = { useBigInt64: true }; // integers are exact to 64 bits

function amountOf(value) {
  const amount = value?.amount;
  if (typeof amount === "bigint" || Number.isInteger(amount)) return BigInt(amount);
  throw new Error("no amount");
}

async function handle(batch, progress) {
  const states = new Map(), failed = new Set(), changes = [], outputs = [], errors = [];
  for (const [index, [kind, key, value, timeMs, headers, label]] of batch.calls.entries()) {
    await progress(index);
    if (failed.has(key)) continue;
    try {
      const state = states.get(key) ?? batch.keys[key][1] ?? { total: 0n };
      const total = BigInt(state.total) + amountOf(value);
      states.set(key, { total });
      changes.push([index, { total }]);
      outputs.push([index, { total }, null, null]);
    } catch (error) {
      failed.add(key);
      errors.push([index, error.message]);
    }
  }
  return { id: batch.id, states: changes, outputs, errors };
}

// One registration, with a socket of its own: until the worker is silent, refuses, or says bye.
async function session(endpoint) {
  const socket = new Dealer({ linger: 0, receiveTimeout: 5000 });
  const send = (kind, body) => socket.send(["MR1", kind, encode(body, wide)]);
  let paceMs = 1000;
  try {
    socket.connect(endpoint);
    await send("register", { versions: [1], name: "total", sdk: "node", mode: "keyed", capacity: 2 });
    for (;;) {
      const [, kind, packed] = await socket.receive();
      const body = decode(packed, wide);
      if (`${kind}` === "welcome") {
        socket.receiveTimeout = 5 * body.heartbeat_ms;
        paceMs = body.progress_ms;
      } else if (`${kind}` === "heartbeat") {
        await send("heartbeat", {});
      } else if (`${kind}` === "batch") {
        let said = -Infinity;
        await send("result", await handle(body, async (done) => {
          if (performance.now() - said < paceMs) return;
          said = performance.now();
          await send("progress", { id: body.id, done });
        }));
      } else {
        return `${kind} ${body.why ?? ""}`;
      }
    }
  } catch (error) {
    return error.message;
  } finally {
    socket.close();
  }
}

for (;;) {
  console.error(await session(process.argv[2]));
  await new Promise((done) => setTimeout(done, 1000));
}
