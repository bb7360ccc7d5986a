#!/usr/bin/env python3
"""Times the calls on a large album: what the page waits for.

    bench/album.py build/release/mien [PEOPLE FACES ALONE]     default: 400 people with 11 faces each, 600 faces alone

A set is made over HTTP and one picture sent; further faces are written into its album's file: vectors around random centres, with the crop and
quality of the first. Then the set is grouped and each call made five times; the median and the size of the answer are printed.
"""

import array
import math
import os
import random
import sqlite3
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "http"))
from client import Client, Server, sample  # noqa: E402

SPREAD = 0.6  # of a person's vectors around the centre, which has length 1


def near(rng, centre, spread):
    v = [c + rng.gauss(0, spread / math.sqrt(len(centre))) for c in centre]
    n = math.sqrt(sum(x * x for x in v))
    return [x / n for x in v]


def fill(path, people, faces, alone):
    """Faces 2, 3, ... of pictures of their own."""
    rng = random.Random(1)
    db = sqlite3.connect(path)
    one = [db.execute("SELECT %s FROM %s" % w).fetchone()[0]
           for w in (("shape", "face"), ("vec", "template"), ("data", "crop"), ("quality", "measured"))]
    dim, n = len(one[1]) // 4, 1
    for person in range(people + alone):
        centre = near(rng, [0] * dim, 1)
        for i in range(faces if person < people else 1):
            n += 1
            vec = array.array("f", near(rng, centre, SPREAD)).tobytes()
            db.execute("INSERT INTO picture VALUES(?, ?, 1, 1, 640, 480)", (n, ("%05d/%d.jpg" % (person, i)).encode()))
            db.execute("INSERT INTO face VALUES(?, ?, NULL, ?, 0.9, 0, 0, 0)", (n, n, one[0]))
            for table, value in (("template", vec), ("crop", one[2]), ("measured", one[3])):
                db.execute("INSERT INTO %s VALUES(?, ?)" % table, (n, value))
    db.commit()
    db.close()


def group(c, id):
    begin = time.time()
    job = c.post("/v1/cluster", body={"set": id, "judge": True}).json
    while job["state"] in ("queued", "running"):
        time.sleep(0.02)
        job = c.get("/v1/jobs/" + job["id"]).json
    r = job["result"]
    print("grouping and judging: %.2f s; %d faces, %d groups, B-cubed F1 %.3f" % (time.time() - begin, r["faces"], r["groups"], r["scores"]["b_f1"]))


def measure(what, call, again=None):
    times = []
    for _ in range(5):
        begin = time.time()
        answer = call()
        times.append(time.time() - begin)
        assert answer.status < 300, answer.body
        if again:
            again()
    print("%-32s %8.1f ms %9d bytes" % (what, 1e3 * statistics.median(times), len(answer.body)))


def main():
    people, faces, alone = (int(a) for a in sys.argv[2:5]) if len(sys.argv) > 4 else (400, 11, 600)
    with Server(os.path.abspath(sys.argv[1])) as server:
        c = Client(server)
        id = c.post("/v1/sets", body={"name": "bench"}).json["id"]
        at = "/v1/sets/" + id
        c.post(at + "/pictures?path=one.jpg", data=sample(1, 0)[1], headers={"Content-Type": "image/jpeg"})
        fill(os.path.join(server.data, "sets", id, "album.db"), people, faces, alone)
        group(c, id)
        a, b = (g["id"] for g in c.get(at + "/album?limit=2").json["groups"])
        undo = lambda: c.post(at + "/undo")
        measure("all groups, a face each", lambda: c.get(at + "/album?limit=5000"))
        measure("5,000 faces in their groups", lambda: c.get(at + "/album?limit=5000&faces=5000"))
        measure("one group", lambda: c.get("%s/groups/%d" % (at, a)))
        measure("120 faces of no group", lambda: c.get(at + "/ungrouped?limit=120"))
        measure("a name", lambda: c.call("PATCH", "%s/groups/%d" % (at, a), body={"name": "Ann"}))
        measure("a merge", lambda: c.post("%s/groups/%d/merge" % (at, a), body={"from": b}), undo)
        measure("a small picture", lambda: c.get(at + "/faces/1"))


main()
