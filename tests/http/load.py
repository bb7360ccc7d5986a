#!/usr/bin/env python3
"""The server at twice its capacity and under attack, for `make soak` (SOAK_MINUTES; 1 by default).

    tests/http/load.py build/release/mien [minutes]

The mass comes from tools/http_load.c, which costs next to nothing. First as many clients as the server has places measure its
capacity, asking again when they are answered; then, for `minutes`, twice as many requests a second are begun, evenly. Beside them,
without a pause: slow headers, silent and half-open connections, crowds of them, slow bodies, bodies over the cap declared and
undeclared, endless multipart, floods of headers; and one well-behaved client, which lists people, and identifies a face, tried
again as Retry-After says.

It must hold: every answer of the mass is right or 429 with Retry-After; the slowest percent waits no longer than a full queue
explains; attackers are cut off or refused, each within its deadline; the well-behaved client gets everything; memory, files and
threads at the end are what they were at the beginning. Memory is sampled every second, of the server and of its decoders. It goes
up and down with the bodies that are just read, up to 16 MB for an oversize one, so what is compared is its floor, the lowest of the
second fifth of the time and of the last; the slope of a straight line through all samples after the first fifth is told too.
"""

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from client import Client, Server, encode_form, sample

QUEUE = 8
FAULTS = []


def check(ok, what):
    if not ok:
        FAULTS.append(what)
        print("FAULT", what, flush=True)


# ---- the server seen from outside ----

def children(pid):
    out = []
    for one in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % one) as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) == pid:
                    out.append(int(one))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return out


def status(pid, name):
    with open("/proc/%d/status" % pid) as f:
        return int(next(line for line in f if line.startswith(name + ":")).split()[1])


def files(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class Watch(threading.Thread):
    """Samples (seconds, resident KB of the server, of its decoders)."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.samples, self.stop = pid, [], threading.Event()

    def run(self):
        start = time.monotonic()
        while not self.stop.wait(1):
            try:
                decoders = sum(status(p, "VmRSS") for p in children(self.pid))
                self.samples.append((time.monotonic() - start, status(self.pid, "VmRSS"), decoders))
            except (FileNotFoundError, StopIteration, ProcessLookupError):
                pass  # a decoder that ends is no sample

    def figures(self, column):
        """(KB at least in the second fifth, in the last, KB at most, KB per minute of the straight line)."""
        fifth = len(self.samples) // 5
        t, kb = [s[0] for s in self.samples[fifth:]], [s[column] for s in self.samples[fifth:]]
        return min(kb[:fifth]), min(kb[-fifth:]), max(kb), statistics.linear_regression(t, kb).slope * 60


# ---- the mass ----

class Mass:
    def __init__(self, tool, server):
        self.tool, self.server = tool, server
        data, kind = encode_form([("file", sample(1, 2))])
        self.body = tempfile.NamedTemporaryFile()
        self.body.write(data)
        self.body.flush()
        self.headers = ["--header", "Authorization: Bearer " + server.key, "--header", "Content-Type: " + kind]

    def run(self, *options):
        command = [self.tool, self.server.host, str(self.server.port), "/v1/identify", self.body.name, "--expect", '"Person 1"',
                   *self.headers, *map(str, options)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


# ---- attackers ----

def connect(server, address):
    return socket.create_connection((server.host, server.port), timeout=1, source_address=(address, 0))


def attack(server, address, head, piece, pause, limit_s):
    """Send head, then piece after piece, until the server hangs up; (seconds until then, None after limit_s; what it said)."""
    start, said = time.monotonic(), b""
    try:
        with connect(server, address) as s:
            s.sendall(head)
            while time.monotonic() - start < limit_s:
                if piece:
                    s.sendall(piece)
                s.settimeout(max(pause, 0.001))
                try:
                    got = s.recv(65536)
                    if not got:
                        break
                    said += got
                except TimeoutError:
                    pass
                s.settimeout(1)
            else:
                return None, said
    except (ConnectionError, TimeoutError):
        pass
    return time.monotonic() - start, said


def crowd(server, address, n, limit_s):
    """Many silent connections of one address: those beyond its share are refused at once, the others when their time is up."""
    start, open_ones, refused = time.monotonic(), [], 0
    try:
        for _ in range(n):
            open_ones.append(connect(server, address))
        while open_ones and time.monotonic() - start < limit_s:
            for s in list(open_ones):
                s.setblocking(False)
                try:
                    got = s.recv(4096)
                except BlockingIOError:
                    continue
                except ConnectionError:
                    got = b""
                refused += got.startswith(b"HTTP/1.1 503")
                if not got:
                    open_ones.remove(s)
                    s.close()
            time.sleep(0.1)
    except (ConnectionError, TimeoutError):
        pass
    for s in open_ones:
        s.close()
    return (None if open_ones else time.monotonic() - start), b"%d of %d refused" % (refused, n)


def attacks(server):
    post = b"POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nx-api-key: %s\r\n" % server.key.encode()
    form = b"Content-Type: multipart/form-data; boundary=b\r\n"
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    part = b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n"
    parts = b"%x\r\n%s\r\n" % (1000 * len(part), 1000 * part)
    get = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n"
    return {
        "slow header": (get + b"X: ", b"a", 1, 45),
        "silent connection": (b"", b"", 1, 45),
        "half-open after half a body": (post + form + b"Content-Length: 100000\r\n\r\n--b\r\n" + b"x" * 50000, b"", 1, 75),
        "slow body": (post + form + b"Content-Length: 100000\r\n\r\n--b\r\n", b"a", 1, 75),
        "oversize, declared": (post + form + b"Content-Length: 999999999\r\n\r\n", b"x" * 1024, 0.05, 45),
        "oversize, undeclared": (post + b"Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n", chunk, 0, 45),
        "endless multipart": (post + form + b"Transfer-Encoding: chunked\r\n\r\n", parts, 0, 45),
        "flood of headers": (get, b"X-Flood: aaaaaaaaaaaaaaaa\r\n" * 100, 0, 45),
        "one endless header": (get + b"X: ", b"a" * 65536, 0, 45),
        "crowd of silent connections": None,
    }


class Attacker(threading.Thread):
    """One kind of attack from an address of its own, again and again."""

    def __init__(self, server, name, what, address, stop):
        super().__init__(daemon=True)
        self.server, self.name, self.what, self.address, self.stop = server, name, what, address, stop
        self.seconds, self.let_go, self.said = [], 0, b""

    def run(self):
        while not self.stop.wait(0.2):
            took, said = attack(self.server, self.address, *self.what) if self.what else crowd(self.server, self.address, 200, 45)
            if took is None:
                self.let_go += 1
            else:
                self.seconds.append(took)
            self.said = said or self.said


# ---- who behaves well ----

class Guest(threading.Thread):
    """Once a second: the list of people, and who is on a picture, tried again as Retry-After says."""

    def __init__(self, server, stop):
        super().__init__(daemon=True)
        self.server, self.stop = server, stop
        self.list_ms, self.tries, self.other = [], [], []

    def run(self):
        data, kind = encode_form([("file", sample(1, 3))])
        headers = {"Authorization": "Bearer " + self.server.key}
        c = http.client.HTTPConnection(self.server.host, self.server.port, timeout=60, source_address=("127.0.0.99", 0))

        def ask(method, path, **more):
            c.request(method, path, **more)
            r = c.getresponse()
            return r.status, r.headers, r.read()

        while not self.stop.wait(1):
            try:
                start = time.monotonic()
                code, _, body = ask("GET", "/v1/people", headers=headers)
                self.list_ms.append((time.monotonic() - start) * 1e3)
                if code != 200 or b"Person 1" not in body:
                    self.other.append("list: %d %r" % (code, body[:200]))
                for tries in range(1, 100):
                    code, got, body = ask("POST", "/v1/identify", body=data, headers=dict(headers, **{"Content-Type": kind}))
                    if code != 429 or self.stop.is_set():
                        break
                    time.sleep(int(got["Retry-After"]))
                self.tries.append(tries)
                if not (code == 200 and b'"Person 1"' in body) and code != 429:
                    self.other.append("identify: %d %r" % (code, body[:200]))
            except OSError as e:
                self.other.append(repr(e))
                c.close()


# ---- all together ----

def warm(c):
    """Let every worker open what it keeps open."""
    askers = [threading.Thread(target=lambda: [c.get("/v1/people") for _ in range(20)]) for _ in range(8)]
    for t in askers:
        t.start()
    for t in askers:
        t.join()
    time.sleep(1)


def settle(pid, threads, seconds):
    """Wait until the server has no more threads than so many."""
    end = time.monotonic() + seconds
    while status(pid, "Threads") > threads and time.monotonic() < end:
        time.sleep(0.5)


def twice_capacity(mien, minutes):
    tool = os.path.join(os.path.dirname(mien), "tools", "tool_http_load")
    workers = len(os.sched_getaffinity(0))
    with Server(mien, "--queue", str(QUEUE), "--rate", "100000") as server:
        pid = server.process.pid
        c, mass = Client(server), Mass(tool, server)
        assert c.post("/v1/people", form=[("name", "Person 1"), ("file", sample(1, 0)), ("file1", sample(1, 1))]).status == 201
        one = mass.run("--connections", 1, "--seconds", 2)
        full = mass.run("--connections", workers + QUEUE, "--seconds", 5)
        capacity = full["right_per_s"]
        warm(c)
        threads, open_files = status(pid, "Threads"), files(pid)
        watch, stop = Watch(pid), threading.Event()
        attackers = [Attacker(server, name, what, "127.0.0.%d" % (10 + i), stop) for i, (name, what) in enumerate(attacks(server).items())]
        guest = Guest(server, stop)
        for t in (watch, guest, *attackers):
            t.start()
        got = mass.run("--connections", 4 * (workers + QUEUE), "--per-second", 2 * capacity, "--pause-ms", 0, "--seconds", 60 * minutes)
        stop.set()
        watch.stop.set()
        for t in (guest, *attackers):
            t.join(90)
        settle(pid, threads, 30)
        print("capacity %.1f answers a second (%d workers, %d places); alone: median %.1f, p99 %.1f ms"
              % (capacity, workers, QUEUE, one["median_ms"], one["p99_ms"]))
        print("%.1f minutes at %.1f requests a second: %d right (%.1f a second), %d busy, %d other, %d cut off, %d not begun; median %.0f, p99 %.0f, worst %.0f ms"
              % (minutes, (got["right"] + got["busy"]) / got["seconds"], got["right"], got["right_per_s"], got["busy"], got["wrong"],
                 got["cut"], got["late"], got["median_ms"], got["p99_ms"], got["worst_ms"]))
        check(got["wrong"] == 0 and got["cut"] == 0, "answers neither right nor 429: %s" % got)
        check(got["busy"] > 0, "the queue was never full")
        # a full queue, each picture as slow as the slowest alone, and twice that for a machine that does other things too
        check(got["p99_ms"] < 2 * (QUEUE + workers + 1) * one["p99_ms"], "p99 of %.0f ms" % got["p99_ms"])
        print("well-behaved client: %d lists, median %.0f, worst %.0f ms; %d faces identified, %.1f tries each"
              % (len(guest.list_ms), statistics.median(guest.list_ms), max(guest.list_ms), len(guest.tries), statistics.mean(guest.tries)))
        check(not guest.other and guest.tries, "the well-behaved client: %s" % guest.other[:3])
        for a in attackers:
            check(a.seconds and not a.let_go, a.name + " was let go on")
            print("%-28s %5d times, hung up after %.1f s (worst %.1f); %s"
                  % (a.name, len(a.seconds), statistics.median(a.seconds or [0]), max(a.seconds or [0]), a.said[:40]))
        for name, column in (("server", 1), ("decoders", 2)):
            early, late, most, slope = watch.figures(column)
            print("resident memory of the %s: at least %d KB in the second fifth of the time and %d KB in the last, at most %d KB; line %+.1f KB a minute"
                  % (name, early, late, most, slope))
            check(late < early * 1.1 + 8192, "memory of the %s grew from %d to %d KB" % (name, early, late))
        print("threads %d -> %d, open files %d -> %d" % (threads, status(pid, "Threads"), open_files, files(pid)))
        check(status(pid, "Threads") <= threads and files(pid) <= open_files + 2, "threads or files are left over")
        check(c.get("/v1/health", key=False).status == 200, "it does not answer after the load")


if __name__ == "__main__":
    twice_capacity(os.path.abspath(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print("FAULTS: %d" % len(FAULTS) if FAULTS else "all well")
    sys.exit(1 if FAULTS else 0)
