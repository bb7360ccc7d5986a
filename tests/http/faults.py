#!/usr/bin/env python3
"""The server and misfortune: `make check` runs the quick steps, `make soak` all.

    tests/http/faults.py build/release/mien [step ...]

kill    killed (SIGKILL) while four clients enrol, three times: the gallery verifies, and every acknowledged enrolment is there.
gone    the gallery's file removed under it: a clear error, nothing acknowledged that is lost.
full    a full disk (a small tmpfs, as root; skipped elsewhere): 507, recognising goes on, the gallery verifies.
broken  a broken key store, key files that are missing, too short or another's: one sentence each, nothing started.
secret  encrypted galleries: no start without their key or passphrase, asked for on a terminal, shown by no /proc.
clock   the wall clock put a year ahead and an hour back while it runs (tests/http/clock_shim.c): what lasts a while lasts as
        long as it should, nothing acknowledged is lost or done twice, the audit chain holds.
"""

import http.client
import mmap
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

from client import Client, Server, encode_form, sample

FAULTS = []


def check(ok, what):
    if not ok:
        FAULTS.append(what)
        print("FAULT", what, flush=True)


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
                         stdin=subprocess.DEVNULL, timeout=20, env=env)
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
    print("broken key store: refused")


def make_gallery(mien, folder, name, *options, env=None):
    path = os.path.join(folder, name)
    subprocess.run([mien, "gallery", "create", path, *options], check=True, capture_output=True, env=env)
    return path


def key_file(folder, name, data):
    path = os.path.join(folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
        f.write(data)
    return path


def without_passphrase():
    return {k: v for k, v in os.environ.items() if k != "MIEN_PASSPHRASE"}


def asked_on_terminal(mien, gallery, answer):
    """Start on a pseudo-terminal and answer its question; (all it said, whether it listens)."""
    folder = tempfile.mkdtemp(prefix="mien-load-")
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.pop("MIEN_PASSPHRASE", None)
        os.execv(mien, [mien, "serve", "--listen", "127.0.0.1:0", "--data", folder, "--gallery", gallery, "--no-open"])
    said = b""
    end = time.monotonic() + 30
    answered = False
    while time.monotonic() < end and b"listening on" not in said:
        try:
            piece = os.read(fd, 4096)
        except OSError:
            break
        if not piece:
            break
        said += piece
        if not answered and b"passphrase for" in said:
            answered = True
            os.write(fd, answer.encode() + b"\n")
    listens = b"listening on" in said
    if listens:
        os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    os.close(fd)
    shutil.rmtree(folder)
    return said.decode("utf-8", "replace"), listens


def serves(mien, what, *options, env=None):
    """It starts, enrols and recognises."""
    with Server(mien, *options, env=env) as server:
        c = Client(server)
        a = c.post("/v1/people", form=[("name", "Hidden Name"), ("file", sample(1, 0)), ("file1", sample(1, 1))])
        check(a.status == 201, "%s: enrol %d %s" % (what, a.status, a.body[:200]))
        a = c.post("/v1/identify", form=[("file", sample(1, 2))])
        check(a.status == 200 and b"Hidden Name" in a.body, "%s: identify %d %s" % (what, a.status, a.body[:200]))
        with open("/proc/%d/environ" % server.process.pid, "rb") as f:
            check(b"correct horse" not in f.read(), what + ": the passphrase stands in /proc/PID/environ")
        server.stop()


def secrets(mien):
    folder = tempfile.mkdtemp(prefix="mien-secret-")
    env = without_passphrase()
    word, wrong = dict(env, MIEN_PASSPHRASE="correct horse"), dict(env, MIEN_PASSPHRASE="battery staple")
    key, other, short = (key_file(folder, name, data) for name, data in (("key", b"k" * 32), ("other", b"o" * 32), ("short", b"k" * 31)))
    by_key = make_gallery(mien, folder, "key.gallery", "--key-file", key, env=env)
    by_word = make_gallery(mien, folder, "word.gallery", "--passphrase", env=word)
    plain = make_gallery(mien, folder, "plain.gallery", env=env)
    refused(mien, "no key", "opens with its key file", "--gallery", by_key, env=env)
    refused(mien, "another's key", "the key is not the gallery's", "--gallery", by_key, "--key-file", other, env=env)
    refused(mien, "a broken key file", "a key file has 32", "--gallery", by_key, "--key-file", short, env=env)
    refused(mien, "a missing key file", "No such file", "--gallery", by_key, "--key-file", key + "x", env=env)
    refused(mien, "a key for a gallery with none", "not encrypted", "--gallery", plain, "--key-file", key, env=env)
    refused(mien, "no passphrase, no terminal", "MIEN_PASSPHRASE", "--gallery", by_word, env=env)
    refused(mien, "a wrong passphrase", "the passphrase is not the gallery's", "--gallery", by_word, env=wrong)
    serves(mien, "with its key", "--gallery", by_key, "--key-file", key, env=env)
    serves(mien, "with its passphrase", "--gallery", by_word, env=word)
    serves(mien, "a passphrase where none is needed", "--gallery", plain, env=word)
    for name in (by_key, by_word):
        for end in ("", "-wal"):
            if os.path.exists(name + end):
                with open(name + end, "rb") as f:
                    check(b"Hidden Name" not in f.read(), "a name can be read in " + name + end)
    try:
        for fd in pty.openpty():
            os.close(fd)
    except OSError as e:
        print("secrets: the terminal's part skipped:", e)
    else:
        said, listens = asked_on_terminal(mien, by_word, "correct horse")
        check(listens and "correct horse" not in said, "asked on a terminal: " + said)
        said, listens = asked_on_terminal(mien, by_word, "battery staple")
        check(not listens and "is not the gallery's" in said and "battery" not in said, "wrong on a terminal: " + said)
    shutil.rmtree(folder)
    print("encrypted galleries: asked for their key, started with it alone")


class WallClock:
    """The wall clock of a program that runs with tests/http/clock_shim.c."""

    def __init__(self, shim, folder):
        self.path = os.path.join(folder, "clock")
        with open(self.path, "wb") as f:
            f.write(bytes(8))
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 8)
        self.env = dict(os.environ, LD_PRELOAD=shim, MIEN_CLOCK_JUMP=self.path)

    def put(self, seconds):
        self.map[:8] = struct.pack("=q", seconds)


def jump_about(server, clock):
    hour, year = 3600, 365 * 86400
    c, now = Client(server), int(time.time() * 1000)
    enrolled = {}

    def enrol(name, person, **consent):
        form = [("name", name), ("file", sample(person, 0)), ("file1", sample(person, 1))]
        a = c.post("/v1/people", form=form + [(k, str(v)) for k, v in consent.items()])
        check(a.status == 201, "enrol %s: %d %s" % (name, a.status, a.body[:200]))
        enrolled[name] = a.json["person"] if a.status == 201 else None

    def known(person):
        a = c.post("/v1/identify", form=[("file", sample(person, 2))])
        check(a.status == 200, "identify: %d %s" % (a.status, a.body[:200]))
        return a.status == 200 and a.json["faces"][0]["known"]

    def key(**more):
        return c.post("/v1/keys", body={"name": "brief", "scopes": "read", **more}).json["token"]

    def alive(token):
        return c.get("/v1/people", headers={"x-api-key": token}, key=False).status == 200

    def uptime():
        return c.get("/v1/health", key=False).json["uptime_s"]

    brief, month = key(expires_ms=now + 4000), key(expires_ms=now + 30 * 86400000)
    login = c.post("/v1/session", body={"key": server.key}, key=False)
    cookie = {"Cookie": login.headers["Set-Cookie"].split(";")[0]}
    session = lambda: c.get("/v1/session", headers=cookie, key=False).status == 200
    form, kind = encode_form([("name", "Once"), ("file", sample(5, 0))])
    repeat = lambda: c.post("/v1/people", data=form, headers={"Content-Type": kind, "Idempotency-Key": "one"}).json["person"]
    enrolled["Once"] = first = repeat()
    enrol("Ann", 1)
    enrol("Ben", 2, purpose="door", basis="consent", expires_ms=now + 30 * 86400000)
    check(known(1) and known(2) and session() and alive(brief) and alive(month), "before any jump")

    clock.put(year)
    check(not alive(brief) and not alive(month), "keys outlive their date")
    check(session(), "a jump ahead ended a session")
    check(repeat() == first, "a jump ahead forgot a remembered answer")
    check(known(1), "Ann is known no more")
    check(not known(2), "Ben is matched after his consent's end")
    enrol("Cleo", 3)
    check(0 <= uptime() < hour, "uptime %s" % uptime())

    clock.put(-hour)
    time.sleep(max(0, now / 1000 + 4.1 - time.time()))
    check(not alive(brief), "a clock put back revived a key")
    check(alive(month), "a key is lost though the clock was put right")
    check(session() and repeat() == first, "a clock put back ended a session or forgot an answer")
    check(known(1) and known(2) and known(3), "someone is known no more")
    enrol("Dora", 4)
    check(0 <= uptime() < hour, "uptime %s" % uptime())
    for _ in range(60):  # a bucket of 100 tokens, 50 a second: a count by the wall clock would be far below nothing now
        check(c.get("/v1/health", key=False).status == 200, "the rate limit counts by the wall clock")
    audit = c.get("/v1/audit?limit=1000").json["entries"]
    numbers = [e["number"] for e in audit]
    check(numbers == sorted(numbers) or numbers == sorted(numbers, reverse=True), "the audit trail is out of order")
    check(len({e["number"] for e in audit}) == len(audit) and len(audit) >= len(enrolled), "the audit trail has %d entries" % len(audit))

    server.kill()
    clock.put(year)
    with server:
        people = {p["name"]: p["id"] for p in c.get("/v1/people?limit=100").json["people"]}
        check(people == enrolled, "people after kill and jumps: %s, not %s" % (people, enrolled))
        check(known(1) and known(4), "someone is known no more after a start with a wrong clock")


def clock_jumps(mien):
    shim = os.path.join(os.path.dirname(mien), "tests", "libclock_shim.so")
    folder = tempfile.mkdtemp(prefix="mien-clock-")
    clock = WallClock(shim, folder)
    if not os.path.exists(shim) or subprocess.run([mien, "--version"], env=clock.env, capture_output=True).stderr:
        print("clock: skipped, nothing can be preloaded here")
        return
    gallery = os.path.join(folder, "people.gallery")
    server = Server(mien, "--gallery", gallery, "--rate", "50", data=os.path.join(folder, "data"), env=clock.env)
    server.start()
    try:
        jump_about(server, clock)
    finally:
        if server.process.poll() is None:
            server.kill()
    verify(mien, gallery)
    shutil.rmtree(folder)
    print("clock a year ahead, an hour back, killed between: all there, nothing twice")


STEPS = {"kill": killed_while_enrolling, "gone": gallery_removed, "full": full_disk, "broken": broken_files, "secret": secrets, "clock": clock_jumps}

if __name__ == "__main__":
    program = os.path.abspath(sys.argv[1])
    for name in sys.argv[2:] or STEPS:
        STEPS[name](program)
    print("FAULTS: %d" % len(FAULTS) if FAULTS else "all well")
    sys.exit(1 if FAULTS else 0)
