#!/usr/bin/env python3
"""Compares two detectors of mien on the same pictures: what share of the reference's faces the other one finds, how many it
adds, and how far its landmarks lie from the reference's, as a fraction of the distance between the eyes.

    bench/detector.py --reference yunet_n_dynamic --model mien-face-detect PICTURES...

Faces are matched greedily, best score first, by an overlap (IoU) of at least 0.5. Prints text, or JSON with --json.
"""

import argparse
import csv
import io
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def faces(mien, model, pictures, min_size):
    """Picture path to a list of (box, score, landmarks), best score first."""
    found = {}
    for at in range(0, len(pictures), 500):
        part = pictures[at:at + 500]
        out = subprocess.run([mien, "detect", "--model", model, "--format", "csv", "--quiet", "--min-size", str(min_size)] + part,
                             capture_output=True, text=True)
        if out.returncode not in (0, 1):
            sys.exit(out.stderr.strip())
        for row in csv.DictReader(io.StringIO(out.stdout)):
            v = [float(x) for x in list(row.values())[2:]]
            marks = [(v[5 + 2 * i], v[6 + 2 * i]) for i in range(5)]
            found.setdefault(row["path"], []).append((v[:4], v[4], marks))
    for faces_of in found.values():
        faces_of.sort(key=lambda f: -f[1])
    return found


def overlap(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    area = lambda r: (r[2] - r[0]) * (r[3] - r[1])
    return w * h / (area(a) + area(b) - w * h)


def distance(p, q):
    return ((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2) ** 0.5


def compare(reference, found):
    n_reference = n_found = matched = 0
    errors = []
    for path in set(reference) | set(found):
        free = list(reference.get(path, []))
        n_reference += len(free)
        for box, _, marks in found.get(path, []):
            n_found += 1
            best = max(free, key=lambda f: overlap(f[0], box), default=None)
            if best is None or overlap(best[0], box) < 0.5:
                continue
            free.remove(best)
            matched += 1
            eyes = distance(best[2][0], best[2][1])
            if eyes > 0.1 * (best[0][2] - best[0][0]):
                errors.append(sum(distance(p, q) for p, q in zip(marks, best[2])) / 5 / eyes)
    errors.sort()
    at = lambda q: errors[min(len(errors) - 1, int(q * len(errors)))] if errors else None
    return {"reference_faces": n_reference, "found_faces": n_found, "matched": matched,
            "recall": matched / n_reference if n_reference else None,
            "added": n_found - matched, "landmark_faces": len(errors),
            "landmark_mean": sum(errors) / len(errors) if errors else None, "landmark_median": at(0.5),
            "landmark_p95": at(0.95)}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--mien", default=os.path.join(ROOT, "build", "release", "mien"))
    p.add_argument("--reference", default="yunet_n_dynamic")
    p.add_argument("--model", default="mien-face-detect")
    p.add_argument("--min-size", type=int, default=20)
    p.add_argument("--json", action="store_true")
    p.add_argument("pictures", nargs="+", help="pictures or folders")
    o = p.parse_args()
    pictures = []
    for name in o.pictures:
        if os.path.isdir(name):
            for folder, _, files in sorted(os.walk(name)):
                pictures += [os.path.join(folder, f) for f in sorted(files) if f.lower().endswith((".jpg", ".jpeg", ".png"))]
        else:
            pictures.append(name)
    r = compare(faces(o.mien, o.reference, pictures, o.min_size), faces(o.mien, o.model, pictures, o.min_size))
    r["pictures"] = len(pictures)
    if o.json:
        print(json.dumps(r))
        return
    print(f"{r['pictures']} pictures, {r['reference_faces']} faces of {o.reference}, {r['found_faces']} of {o.model}")
    if r["recall"] is not None:
        print(f"found {r['matched']} of them: {100 * r['recall']:.1f} %; {r['added']} more that {o.reference} has not")
    else:
        print(f"{r['found_faces']} faces found where {o.reference} finds none")
    if r["landmark_faces"]:
        print(f"landmarks off by {100 * r['landmark_mean']:.2f} % of the distance between the eyes (mean of {r['landmark_faces']} "
              f"faces; median {100 * r['landmark_median']:.2f} %, 95 % below {100 * r['landmark_p95']:.2f} %)")


if __name__ == "__main__":
    main()
