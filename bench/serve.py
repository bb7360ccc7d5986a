#!/usr/bin/env python3
"""What the server adds: POST /v1/identify of a 640x480 JPEG against 10,000 people, beside the same work in process.

    bench/serve.py [--seconds 6] [--people 10000] [--core N] [--markdown]

The picture is a sample scaled to 640x480; the people are random unit vectors (tools/identify_loop.c). One client with keep-alive gives the median; it and the in-process loop take turns, ten times each, so
that what else the machine does falls on both; beside the median stands the tenth percentile, which other work disturbs least. Then one connection and eight, against as many workers as there are processors.
With --core everything is held to one processor: the eight then share one worker, and only the first ratio means something.
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
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))
from client import Server  # noqa: E402

LOOP = os.path.join(ROOT, "build", "release", "tools", "tool_identify_loop")
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


def rate(server, data, connections, seconds):
    lists = [[] for _ in range(connections)]
    threads = [threading.Thread(target=lambda out=out: out.extend(ask(server, data, seconds))) for out in lists]
    start = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return sum(map(len, lists)) / (time.monotonic() - start)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--seconds", type=float, default=6)
    p.add_argument("--people", type=int, default=10000)
    p.add_argument("--core", type=int)
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
            single = rate(one, data, 8, o.seconds)
        with Server(MIEN, *common, "--workers", str(workers)) as many:
            ask(many, data, 1)
            eight = rate(many, data, 8, o.seconds)
        both = lambda ms: (statistics.median(ms), sorted(ms)[len(ms) // 10])
        rows = [("in process, one thread", *both(inside)),
                ("POST /v1/identify, pictures decoded in the server", *both(plain)),
                ("POST /v1/identify, in the sandbox (the default)", *both(outside))]
        base, low = rows[0][1:]
        result = {"people": o.people, "bytes": len(data), "workers": workers, "in_process_ms": base, "no_sandbox_ms": rows[1][1],
                  "ms": rows[2][1], "ratio": rows[2][1] / base, "ratio_p10": rows[2][2] / low, "one_worker_per_s": single, "eight_connections_per_s": eight,
                  "throughput_ratio": eight / single}
        if o.markdown:
            print("| | median ms | beside in process | 10th percentile ms | beside in process |\n|---|---|---|---|---|")
            for name, ms, p10 in rows:
                print(f"| {name} | {ms:.1f} | {ms / base:.2f} | {p10:.1f} | {p10 / low:.2f} |")
            print(f"\nEight connections: {single:.1f} answers a second of one worker, {eight:.1f} of {workers} ({eight / single:.2f} times).")
        else:
            print(json.dumps(result))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
