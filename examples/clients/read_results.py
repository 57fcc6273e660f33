"""Reads the results of a Millrace job with nothing but the standard library.

    python3 read_results.py nats://127.0.0.1:4222 JOB

Prints one JSON line for each output record, partition by partition. Each result stream is read to the end that
it has when the reading begins.
"""
import base64, json, socket, struct, sys, urllib.parse, zlib
from datetime import datetime, timezone

NUMBERS = dict(zip(range(0xCA, 0xD4), (">f", ">d", ">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q")))
COUNT_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}


def unpack(data, at):
    """One MessagePack value at `at`: (value, what follows). Extension types are not used."""
    lead, at = data[at], at + 1
    if lead < 0x80 or lead >= 0xE0:
        return (lead if lead < 0x80 else lead - 256), at
    if lead in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[lead], at
    if lead in NUMBERS:
        return struct.unpack_from(NUMBERS[lead], data, at)[0], at + struct.calcsize(NUMBERS[lead])
    count, size = lead & (0x1F if lead >= 0xA0 else 0x0F), COUNT_BYTES.get(lead, 0)
    if size:
        count, at = int.from_bytes(data[at:at + size], "big"), at + size
    is_map = lead < 0x90 or lead >= 0xDE
    if not is_map and (0xA0 <= lead < 0xDC):
        return text(data[at:at + count]), at + count
    items = []
    for _ in range(2 * count if is_map else count):
        item, at = unpack(data, at)
        items.append(item)
    return dict(zip(items[::2], items[1::2])) if is_map else items, at


def text(raw):
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"value_base64": base64.b64encode(raw).decode()}


def varint(data, at):
    value = shift = 0
    while True:
        value, shift, at = value | (data[at] & 0x7F) << shift, shift + 7, at + 1
        if data[at - 1] < 0x80:
            return value, at


def sized(data, at):
    size, at = varint(data, at)
    return data[at:at + size], at + size


def records(frame):
    """The records of one result frame: dicts of key, value, offset, index, time."""
    magic, version, kind, checksum, length, count = struct.unpack_from("<2sBBIII", frame)
    _, time, offset, table, _ = struct.unpack_from("<qqQII", frame, 16)
    if (magic, version, length) != (b"MR", 1, len(frame)) or zlib.crc32(frame[8:], zlib.crc32(frame[:4])) != checksum:
        raise ValueError("corrupt frame")
    shapes, (shape_count, at) = [], varint(frame, table)
    for _ in range(shape_count):
        names, (fields, at) = [], varint(frame, at)
        for _ in range(fields):
            name, at = sized(frame, at)
            names.append(name.decode())
        shapes.append(names)
    at = 48
    for _ in range(count):
        record, (tag, at) = {}, varint(frame, at)
        step, at = varint(frame, at) if kind == 1 else (0, at)
        record["index"], at = varint(frame, at) if kind == 1 else (0, at)
        record["offset"] = offset = offset + step
        if tag & 1:
            step, at = varint(frame, at)
            time += (step >> 1) ^ -(step & 1)
            moment = datetime.fromtimestamp(time / 1000, timezone.utc).replace(tzinfo=None)
            record["time"] = moment.isoformat(timespec="milliseconds" if time % 1000 else "seconds") + "Z"
        key, at = sized(frame, at)
        value, at = sized(frame, at)
        record["key"] = key.decode(errors="replace")
        if tag >> 2 == 0:
            record["value"] = text(value)
        elif tag >> 2 == 1:
            record["value"] = unpack(value, 0)[0]
        else:
            record["value"], place = {}, 0
            for name in shapes[(tag >> 2) - 2]:
                record["value"][name], place = unpack(value, place)
        if tag & 2:  # headers: passed over
            pairs, at = varint(frame, at)
            for _ in range(2 * pairs):
                _, at = sized(frame, at)
        yield record


def accepted(messages, uid=None):
    """Rule R3 over (header text, payload) pairs of one stream: yields the records that count, once each.
    `uid` is the job's; without one, the first message's."""
    writers = {}  # name: [epoch, mark]
    for header, payload in messages:
        version, kind, job, name, epoch, prev, upto = header.split(" ")[:7]
        uid = uid or job
        prev, upto = (tuple(int(part) for part in mark.split(".")) for mark in (prev, upto))
        if version != "1" or job != uid:
            continue
        writer = writers.setdefault(name, [0, (0, 0)])
        if int(epoch) < writer[0]:
            continue  # a zombie's
        writer[0] = int(epoch)
        if kind != "r" or upto <= writer[1] or prev > writer[1]:
            continue  # no records; seen before; or one before it is missing and comes again
        seen, writer[1] = writer[1], upto
        for record in records(payload):
            if (record["offset"], record["index"]) >= seen:
                yield record


class Nats:
    """As much of the NATS protocol as a request and its answer need."""

    def __init__(self, url):
        where = urllib.parse.urlparse(url)
        self.socket = socket.create_connection((where.hostname, where.port or 4222), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an answer is not waited for twice
        self.lines = self.socket.makefile("rb")
        self.lines.readline()  # INFO
        options = {"verbose": False, "pedantic": False, "lang": "python", "version": "1"}
        if where.username:
            options.update({"user": where.username, "pass": where.password or ""})
        self.socket.sendall(b"CONNECT %s\r\nSUB _INBOX.reader 1\r\n" % json.dumps(options).encode())

    def request(self, subject, body=None):
        data = json.dumps(body).encode() if body else b""
        self.socket.sendall(b"PUB %s _INBOX.reader %d\r\n%s\r\n" % (subject.encode(), len(data), data))
        while True:
            line = self.lines.readline().split()
            if not line or line[0] == b"-ERR":
                raise ConnectionError(b" ".join(line).decode() or "connection closed")
            if line[0] == b"PING":
                self.socket.sendall(b"PONG\r\n")
            elif line[0] == b"MSG":
                return json.loads(self.lines.read(int(line[-1]) + 2))

    def messages(self, stream, last):
        """(header text, payload) of each message of ours up to sequence `last`."""
        for sequence in range(1, last + 1):
            message = self.request("$JS.API.STREAM.MSG.GET." + stream, {"seq": sequence}).get("message")
            for line in base64.b64decode((message or {}).get("hdrs", "")).decode().split("\r\n"):
                if line.startswith("Millrace:"):
                    yield line[len("Millrace:"):].strip(), base64.b64decode(message.get("data", ""))


def main(url, job):
    nats, partition = Nats(url), 0
    while True:
        stream = f"mr-{job}-out-{partition}"
        info = nats.request("$JS.API.STREAM.INFO." + stream)
        if "error" in info:
            return 0 if partition else f"no job {job}: {info['error']['description']}"
        uid = info["config"].get("description", "").removeprefix("millrace ")
        for record in accepted(nats.messages(stream, info["state"]["last_seq"]), uid):
            line = {"key": record["key"], "value": record["value"], "partition": partition,
                    "offset": record["offset"], "index": record["index"], "time": record.get("time")}
            print(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
        partition += 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 3 else __doc__)
