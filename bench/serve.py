#!/usr/bin/env python3
"""What the server adds: POST /v1/identify of a 640x480 JPEG against 10,000 people, beside the same work in process.

    bench/serve.py [--seconds 6] [--people 10000] [--core N] [--patience 60] [--markdown]

The picture is a sample scaled to 640x480; the people are random unit vectors (tools/identify_loop.c). One client with keep-alive gives the median; it and the in-process loop take turns, ten times each, so
that what else the machine does falls on both; beside the median stands the tenth percentile, which other work disturbs least.

Then eight connections (tools/http_load.c, whose own processor time is told) against one worker and against as many as there are processors, and the in-process loop alone and in as many processes, in turn, seven rounds: median rates
and the median of the rounds' ratios. The loop in several processes shares nothing but the machine: no server gets more out of it. Each waits until other programs take less than a twentieth of the machine, and what was measured while
they took more is measured anew, for at most --patience seconds in all; the largest share that was let pass is told.
With --core everything is held to one processor, and only the first ratio means something.
"""

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 7
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))
from client import Server  # noqa: E402

LOOP = os.path.join(ROOT, "build", "release", "tools", "tool_identify_loop")
LOAD = os.path.join(ROOT, "build", "release", "tools", "tool_http_load")
MIEN = os.path.join(ROOT, "build", "release", "mien")


def ask(server, data, seconds):
    """Milliseconds of each answer on one connection."""
    c = http.client.HTTPConnection(server.host, server.port, timeout=60)
    headers = {"x-api-key": server.key, "Content-Type": "image/jpeg"}
    out, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        c.request("POST", "/v1/identify", body=data, headers=headers)
        r = c.getresponse()
        body = r.read()
        if r.status != 200 or len(json.loads(body)["faces"]) != 1:
            raise RuntimeError("%d %r" % (r.status, body[:200]))
        out.append((time.monotonic() - start) * 1e3)
    return out


def cpu_seconds(pid):
    """Processor time of a process and of its children (the pictures' decoders)."""
    total = 0
    for one in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{one}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if pid in (int(one), int(fields[1])):
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class Quiet:
    """Measures while other programs rest, as long as its patience lasts."""

    def __init__(self, patience_s, most=0.05):
        self.until, self.most, self.worst = time.monotonic() + patience_s, most, 0

    @staticmethod
    def all_and_ours(servers):
        with open("/proc/stat") as f:
            v = [int(x) / os.sysconf("SC_CLK_TCK") for x in f.readline().split()[1:9]]
        return sum(v), sum(v) - v[3] - v[4], sum(os.times()[:4]) + sum(cpu_seconds(s.process.pid) for s in servers)

    def others(self, servers, what, *args):
        """(what it gave, the share of the machine that other programs took meanwhile)."""
        before = self.all_and_ours(servers)
        got = what(*args)
        total, busy, ours = (b - a for a, b in zip(before, self.all_and_ours(servers)))
        return got, (busy - ours) / total

    def __call__(self, servers, what, *args):
        while True:
            while time.monotonic() < self.until and self.others(servers, time.sleep, 0.5)[1] > self.most:
                pass
            got, share = self.others(servers, what, *args)
            if share <= self.most or time.monotonic() >= self.until:
                self.worst = max(self.worst, share)
                return got


def rate(server, photo, connections, seconds):
    """(answers a second, the client's and the server's processor milliseconds of each)."""
    before = cpu_seconds(server.process.pid)
    out = subprocess.run([LOAD, server.host, str(server.port), "/v1/identify", photo, "--connections", str(connections), "--seconds", str(seconds), "--expect", '"known"',
                          "--header", "x-api-key: " + server.key, "--header", "Content-Type: image/jpeg"], check=True, capture_output=True, text=True).stdout
    got = json.loads(out)
    if got["wrong"] or got["cut"] or got["busy"]:
        raise RuntimeError(out)
    return got["right_per_s"], 1e3 * got["client_cpu_s"] / got["right"], 1e3 * (cpu_seconds(server.process.pid) - before) / got["right"]


def rate_inside(gallery, photo, processes, seconds):
    """Rounds a second of so many in-process loops side by side."""
    loops = [subprocess.Popen([LOOP, "time", gallery, photo, str(seconds)], stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return sum(1e3 / statistics.mean(map(float, p.communicate()[0].split())) for p in loops)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--seconds", type=float, default=6)
    p.add_argument("--people", type=int, default=10000)
    p.add_argument("--core", type=int)
    p.add_argument("--patience", type=float, default=60)
    p.add_argument("--markdown", action="store_true")
    o = p.parse_args()
    if o.core is not None:
        os.sched_setaffinity(0, {o.core})
    folder = tempfile.mkdtemp(prefix="mien-bench-")
    try:
        gallery, photo = os.path.join(folder, "people.gallery"), os.path.join(folder, "photo.jpg")
        subprocess.run([LOOP, "picture", os.path.join(ROOT, "samples", "person-01", "3.jpg"), photo], check=True)
        with open(photo, "rb") as f:
            data = f.read()
        subprocess.run([LOOP, "fill", gallery, str(o.people)], check=True)
        inside, outside, plain = [], [], []
        workers = len(os.sched_getaffinity(0))
        common = ("--gallery", gallery, "--rate", "100000", "--queue", "64")
        with Server(MIEN, *common, "--workers", "1") as one, Server(MIEN, *common, "--workers", "1", "--no-sandbox") as open_one:
            for server in (one, open_one):
                ask(server, data, 1)
            for _ in range(10):
                out = subprocess.run([LOOP, "time", gallery, photo, str(o.seconds / 10)], check=True, capture_output=True, text=True).stdout
                inside += map(float, out.split())
                outside += ask(one, data, o.seconds / 10)
                plain += ask(open_one, data, o.seconds / 10)
        rounds = []
        with Server(MIEN, *common, "--workers", "1") as one, Server(MIEN, *common, "--workers", str(workers)) as many:
            for server in (one, many):
                rate(server, photo, 8, 1)
            quiet = Quiet(o.patience)
            for _ in range(ROUNDS):
                rounds.append((quiet([one, many], rate, one, photo, 8, o.seconds / 2), quiet([one, many], rate, many, photo, 8, o.seconds / 2),
                               quiet([one, many], rate_inside, gallery, photo, 1, o.seconds / 4),
                               quiet([one, many], rate_inside, gallery, photo, workers, o.seconds / 4)))
        middle = lambda of: statistics.median(map(of, rounds))
        load = {"one_worker_per_s": middle(lambda r: r[0][0]), "eight_connections_per_s": middle(lambda r: r[1][0]),
                "throughput_ratio": middle(lambda r: r[1][0] / r[0][0]), "in_process_ratio": middle(lambda r: r[3] / r[2]),
                "in_process_per_s": middle(lambda r: r[3]), "client_cpu_ms": middle(lambda r: r[1][1]),
                "server_cpu_ms": middle(lambda r: r[1][2]), "server_cpu_one_worker_ms": middle(lambda r: r[0][2]), "others": quiet.worst}
        both = lambda ms: (statistics.median(ms), sorted(ms)[len(ms) // 10])
        rows = [("in process, one thread", *both(inside)),
                ("POST /v1/identify, pictures decoded in the server", *both(plain)),
                ("POST /v1/identify, in the sandbox (the default)", *both(outside))]
        base, low = rows[0][1:]
        result = {"people": o.people, "bytes": len(data), "workers": workers, "in_process_ms": base, "no_sandbox_ms": rows[1][1],
                  "ms": rows[2][1], "ratio": rows[2][1] / base, "ratio_p10": rows[2][2] / low, **load}
        if o.markdown:
            print("| | median ms | beside in process | 10th percentile ms | beside in process |\n|---|---|---|---|---|")
            for name, ms, p10 in rows:
                print(f"| {name} | {ms:.1f} | {ms / base:.2f} | {p10:.1f} | {p10 / low:.2f} |")
            print("\n| eight connections | answers a second | processor ms of each: server | client |\n|---|---|---|---|")
            print("| one worker | {one_worker_per_s:.1f} | {server_cpu_one_worker_ms:.2f} | |".format(**load))
            print("| {} workers | {eight_connections_per_s:.1f} | {server_cpu_ms:.2f} | {client_cpu_ms:.2f} |".format(workers, **load))
            print("\n{throughput_ratio:.2f} times one worker's; {} loops in processes of their own make {in_process_ratio:.2f} times one's ({in_process_per_s:.1f} a second). Other programs took {others:.0%} of the machine at most.".format(workers, **load))
        else:
            print(json.dumps(result))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
