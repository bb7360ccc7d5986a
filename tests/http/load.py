#!/usr/bin/env python3
"""The server under load and misfortune, for `make soak`.

    tests/http/load.py build/release/mien [minutes]

1. Twice capacity for `minutes` (default 1): twice as many clients as pictures worked on and waiting together. Every answer is
   right or 429 with Retry-After, memory stays flat, the slowest percent waits no longer than a full queue explains; meanwhile
   slow headers, silent connections, bodies over the cap declared and undeclared, and floods of headers are cut off.
2. Killed (SIGKILL) while four clients enrol, three times: the gallery verifies, and every acknowledged enrolment is there.
3. The gallery's file removed under it: a clear error, nothing acknowledged that is lost.
4. A full disk (a small tmpfs, as root; skipped elsewhere): 507, recognising goes on, the gallery verifies.
5. A broken key store, a key file too short, a locked gallery without its key: one sentence each, nothing started.
"""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from client import Client, Server, encode_form, sample

WORKERS, QUEUE = 1, 4
FAULTS = []


def check(ok, what):
    if not ok:
        FAULTS.append(what)
        print("FAULT", what, flush=True)


def rss_kb(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


class Worker(threading.Thread):
    """One keep-alive client that identifies until told to stop."""

    def __init__(self, server, stop):
        super().__init__(daemon=True)
        self.server, self.stop = server, stop
        self.ms, self.busy, self.other = [], 0, []

    def run(self):
        data, kind = encode_form([("file", sample(1, 2))])
        headers = {"Authorization": "Bearer " + self.server.key, "Content-Type": kind}
        c = http.client.HTTPConnection(self.server.host, self.server.port, timeout=60)
        while not self.stop.is_set():
            start = time.monotonic()
            try:
                c.request("POST", "/v1/identify", body=data, headers=headers)
                r = c.getresponse()
                body = r.read()
            except OSError as e:
                self.other.append(repr(e))
                c.close()
                continue
            if r.status == 200 and b'"Person 1"' in body:
                self.ms.append((time.monotonic() - start) * 1e3)
            elif r.status == 429 and r.headers["Retry-After"]:
                self.busy += 1
                time.sleep(0.02)
            else:
                self.other.append("%d %r" % (r.status, body[:200]))


def attack(server, name, head, piece, pause, limit_s, results):
    """Send head, then piece after piece, until the server hangs up or limit_s is over."""
    start = time.monotonic()
    said = b""
    try:
        with socket.create_connection((server.host, server.port), timeout=1) as s:
            s.sendall(head)
            while time.monotonic() - start < limit_s:
                if piece:
                    s.sendall(piece)
                s.settimeout(max(pause, 0.001))
                try:
                    got = s.recv(65536)
                    said += got
                    if not got:
                        break
                except TimeoutError:
                    pass
                s.settimeout(1)
            else:
                results.append((name, False, said[:40]))
                return
    except (ConnectionError, TimeoutError):
        pass
    results.append((name, True, said[:40]))


def attacks(server):
    post = b"POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nx-api-key: %s\r\n" % server.key.encode()
    form = b"Content-Type: multipart/form-data; boundary=b\r\n"
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    return [
        ("slow header", b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nX: ", b"a", 1, 45),
        ("silent connection", b"", b"", 1, 45),
        ("slow body", post + form + b"Content-Length: 100000\r\n\r\n--b\r\n", b"a", 1, 75),
        ("oversize, declared", post + form + b"Content-Length: 999999999\r\n\r\n", b"x" * 1024, 0.05, 45),
        ("endless multipart", post + form + b"Transfer-Encoding: chunked\r\n\r\n", chunk, 0, 45),
        ("flood of headers", b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n", b"X-Flood: aaaaaaaaaaaaaaaa\r\n" * 100, 0, 45),
    ]


def twice_capacity(mien, minutes):
    with Server(mien, "--workers", str(WORKERS), "--queue", str(QUEUE), "--rate", "100000") as server:
        c = Client(server)
        assert c.post("/v1/people", form=[("name", "Person 1"), ("file", sample(1, 0)), ("file1", sample(1, 1))]).status == 201
        alone = []
        for _ in range(8):
            start = time.monotonic()
            c.post("/v1/identify", form=[("file", sample(1, 2))])
            alone.append((time.monotonic() - start) * 1e3)
        one = sorted(alone)[len(alone) // 2]
        stop = threading.Event()
        clients = [Worker(server, stop) for _ in range(2 * (WORKERS + QUEUE))]
        results, threads = [], []
        for w in clients:
            w.start()
        end = time.monotonic() + 60 * minutes
        early = None
        while time.monotonic() < end:
            threads = [t for t in threads if t.is_alive()]
            if not threads and time.monotonic() < end - min(30, 30 * minutes):
                threads = [threading.Thread(target=attack, args=(server, *a, results), daemon=True) for a in attacks(server)]
                for t in threads:
                    t.start()
            time.sleep(0.5)
            if early is None and time.monotonic() > end - 48 * minutes:
                early = rss_kb(server.process.pid)
        stop.set()
        for t in clients + threads:
            t.join(90)
        late = rss_kb(server.process.pid)
        ms = sorted(x for w in clients for x in w.ms)
        p99 = ms[int(len(ms) * 0.99)]
        print("twice capacity: %d right, %d busy; alone %.0f ms, median %.0f, p99 %.0f, worst %.0f ms; resident %d -> %d KB"
              % (len(ms), sum(w.busy for w in clients), one, ms[len(ms) // 2], p99, ms[-1], early, late))
        check(not any(w.other for w in clients), "answers neither right nor 429: %s" % [w.other[:2] for w in clients if w.other][:3])
        check(sum(w.busy for w in clients) > 0, "the queue was never full")
        # a full queue, each picture as slow as the slowest plain one, and twice that for a busy machine
        check(p99 < 2 * (QUEUE + WORKERS + 1) * max(max(alone), 2 * one), "p99 of %.0f ms" % p99)
        check(late < early * 1.1 + 8192, "memory grew from %d to %d KB" % (early, late))
        for name in sorted({r[0] for r in results}):
            mine = [r for r in results if r[0] == name]
            print("%-20s %d times, cut off %d times; said %s" % (name, len(mine), sum(r[1] for r in mine), mine[0][2]))
            check(all(r[1] for r in mine), name + " was let go on")
        check(c.get("/v1/health", key=False).status == 200, "it does not answer after the load")


def verify(mien, gallery):
    out = subprocess.run([mien, "gallery", "verify", gallery], capture_output=True, text=True)
    check(out.returncode == 0, "gallery verify: %s %s" % (out.stdout, out.stderr))


def killed_while_enrolling(mien):
    data = tempfile.mkdtemp(prefix="mien-load-")
    gallery = os.path.join(data, "people.gallery")
    acknowledged, lock, key, tries = {}, threading.Lock(), None, 0
    for turn in range(3):
        server = Server(mien, "--gallery", gallery, "--rate", "100000", data=data)
        server.key = key
        server.start()
        key = server.key
        headers = {"x-api-key": key}

        def enrol(i):
            n = 0
            while True:
                n += 1
                name = "t%d c%d n%d" % (turn, i, n)
                try:
                    a = Client(server).post("/api/v1/recognition/faces?subject=" + name.replace(" ", "%20"), headers=headers, key=False,
                                            form=[("file", sample(1 + (n + i) % 12, n % 4))])
                except (OSError, http.client.HTTPException):
                    return
                if a.status == 201:
                    with lock:
                        acknowledged[a.json["image_id"]] = name

        threads = [threading.Thread(target=enrol, args=(i,), daemon=True) for i in range(4)]
        for t in threads:
            t.start()
        time.sleep(3 + turn)
        server.kill()
        for t in threads:
            t.join(30)
        verify(mien, gallery)
        tries += 1
    server = Server(mien, "--gallery", gallery, data=data)
    server.key = key
    with server:
        there, page = {}, 0
        while True:
            a = Client(server).get("/api/v1/recognition/faces?size=1000&page=%d" % page, headers={"x-api-key": key}, key=False)
            there.update({f["image_id"]: f["subject"] for f in a.json["faces"]})
            page += 1
            if page >= a.json["total_pages"]:
                break
    lost = [i for i, name in acknowledged.items() if there.get(i) != name]
    print("killed %d times while enrolling: %d acknowledged, %d there, %d lost" % (tries, len(acknowledged), len(there), len(lost)))
    check(acknowledged and not lost, "acknowledged enrolments were lost: %d of %d" % (len(lost), len(acknowledged)))


def gallery_removed(mien):
    data = tempfile.mkdtemp(prefix="mien-load-")
    gallery = os.path.join(data, "people.gallery")
    with Server(mien, "--gallery", gallery, data=data) as server:
        c = Client(server)
        assert c.post("/v1/people", form=[("name", "A"), ("file", sample(1, 0))]).status == 201
        os.rename(gallery, gallery + ".away")
        for a in (c.post("/v1/people", form=[("name", "B"), ("file", sample(2, 0))]), c.post("/v1/identify", form=[("file", sample(1, 1))])):
            check((a.status, a.code) == (503, "GALLERY_GONE"), "with the file gone: %d %s" % (a.status, a.body[:200]))
        check(c.get("/v1/health", key=False).status == 200, "health without the file")
        os.rename(gallery + ".away", gallery)
        check(c.get("/v1/people").json["people"][0]["name"] == "A", "the file was put back")
        check(c.post("/v1/people", form=[("name", "B"), ("file", sample(2, 0))]).status == 201, "enrolling after it was put back")
        print("gallery removed and put back: refused with 503 meanwhile")


def full_disk(mien):
    folder = tempfile.mkdtemp(prefix="mien-full-")
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", folder], capture_output=True).returncode:
        print("full disk: skipped, no tmpfs may be mounted here")
        return
    try:
        gallery = os.path.join(folder, "people.gallery")
        with Server(mien, "--gallery", gallery) as server:
            c = Client(server)
            names, refused = [], None
            for n in range(2000):
                a = c.post("/api/v1/recognition/faces?subject=n%d" % n, headers={"x-api-key": server.key}, key=False,
                           form=[("file", sample(1 + n % 12, n % 4))])
                if a.status != 201:
                    refused = a
                    break
                names.append("n%d" % n)
            check(refused is not None and refused.status == 507, "full disk: %s" % (vars(refused) if refused else "never"))
            a = c.post("/v1/identify", form=[("file", sample(1, 1))])
            check(a.status == 200, "recognising with a full disk: %d %s" % (a.status, a.body[:200]))
            there = c.get("/api/v1/recognition/subjects", headers={"x-api-key": server.key}, key=False).json["subjects"]
            check(set(names) <= set(there), "a full disk lost acknowledged enrolments")
        verify(mien, gallery)
        print("full disk after %d enrolments: %d" % (len(names), refused.status if refused else 0))
    finally:
        subprocess.run(["umount", folder])
        os.rmdir(folder)


def refused(mien, what, sentence, *options, data=None, env=None):
    data = data or tempfile.mkdtemp(prefix="mien-load-")
    out = subprocess.run([mien, "serve", "--listen", "127.0.0.1:0", "--data", data, *options], capture_output=True, text=True,
                         timeout=20, env=env)
    check(out.returncode not in (0, -6, -11) and sentence in out.stderr, "%s: %d %s" % (what, out.returncode, out.stderr))
    shutil.rmtree(data, ignore_errors=True)


def broken_files(mien):
    data = tempfile.mkdtemp(prefix="mien-load-")
    with Server(mien, data=data) as server:
        server.stop()
        (store,) = [f for f in os.listdir(data) if f.endswith(".db")]
        with open(os.path.join(data, store), "r+b") as f:
            f.write(b"x" * 4096)
        for f in (store + "-wal", store + "-shm"):
            if os.path.exists(os.path.join(data, f)):
                os.remove(os.path.join(data, f))
        refused(mien, "broken key store", "not a database", data=data)
    short = tempfile.NamedTemporaryFile()
    short.write(b"short")
    short.flush()
    refused(mien, "short key file", "32 bytes", "--key-file", short.name)
    print("broken key store and short key file: refused")


if __name__ == "__main__":
    program = os.path.abspath(sys.argv[1])
    steps = sys.argv[3:] or ["load", "kill", "gone", "full", "broken"]
    if "load" in steps:
        twice_capacity(program, float(sys.argv[2]) if len(sys.argv) > 2 else 1)
    for name, step in (("kill", killed_while_enrolling), ("gone", gallery_removed), ("full", full_disk), ("broken", broken_files)):
        if name in steps:
            step(program)
    print("FAULTS: %d" % len(FAULTS) if FAULTS else "all well")
    sys.exit(1 if FAULTS else 0)
