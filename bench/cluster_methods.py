#!/usr/bin/env python3
"""The ways of grouping faces that docs/cluster.md compares with `mien cluster`, in numpy, on labelled pictures.

usage: cluster_methods.py MIEN DIR...      (each DIR: a folder per person)

Prints B-cubed and pairwise F1 of HDBSCAN (Campello 2013: exact minimum spanning tree of the mutual reachability, excess of
mass), of average-link agglomeration and of plain Chinese whispers (Biemann 2006) at several false match rates.
"""
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter

import numpy as np


def load(mien, folder):
    with tempfile.TemporaryDirectory() as work:
        out = os.path.join(work, "faces.npy")
        subprocess.run([mien, "embed", "-q", folder, "--out", out], check=True)
        with open(os.path.join(work, "faces.index.csv"), encoding="utf-8") as f:
            people = [os.path.dirname(row["path"]) for row in csv.DictReader(f)]
        return np.load(out), np.unique(people, return_inverse=True)[1]


def scores(groups, people):
    n = len(groups)
    g, p, both = Counter(groups), Counter(people), Counter(zip(groups, people))
    precision = sum(c * c / g[a] for (a, _), c in both.items()) / n
    recall = sum(c * c / p[b] for (_, b), c in both.items()) / n
    pairs = [sum(c * (c - 1) for c in x.values()) for x in (g, p, both)]
    f1 = lambda a, b: 2 * a * b / (a + b) if a + b else 0.0
    return f1(precision, recall), f1(pairs[2] / max(pairs[0], 1), pairs[2] / max(pairs[1], 1)), precision, recall


def singles(groups):
    """Faces of no group (-1) as groups of one."""
    return np.where(groups < 0, -1 - np.arange(len(groups)), groups)


def whispers(vecs, threshold, excess, seed=1, passes=20):
    s = vecs @ vecs.T
    np.fill_diagonal(s, -1)
    weights = np.where(s >= threshold, s - threshold if excess else s, 0)
    near = [np.nonzero(w)[0] for w in weights]
    labels, rng = np.arange(len(vecs)), np.random.RandomState(seed)
    for _ in range(passes):
        changed = False
        for i in rng.permutation(len(vecs)):
            if len(near[i]):
                best = np.bincount(labels[near[i]], weights[i, near[i]]).argmax()
                changed |= best != labels[i]
                labels[i] = best
        if not changed:
            break
    return labels


def average_link(vecs, threshold):
    n = len(vecs)
    sums, sizes, parent = vecs.astype(float).copy(), np.ones(n), np.arange(n)
    sim = sums @ sums.T
    np.fill_diagonal(sim, -1)
    while True:
        i, j = np.unravel_index(sim.argmax(), sim.shape)
        if sim[i, j] < threshold:
            break
        sums[i] += sums[j]
        sizes[i] += sizes[j]
        parent[parent == j] = i
        row = np.where(sim[i] > -1, sums @ sums[i] / (sizes * sizes[i]), -1)
        row[[i, j]] = -1
        sim[i], sim[:, i] = row, row
        sim[j], sim[:, j] = -1, -1
    return parent


def spanning_tree(vecs, neighbours):
    d = np.sqrt(np.maximum(2 - 2 * (vecs @ vecs.T), 0))
    np.fill_diagonal(d, 0)
    core = np.sort(d, axis=1)[:, neighbours]
    reach = np.maximum(np.maximum(d, core[:, None]), core[None, :])
    n = len(vecs)
    inside, best, source, at, edges = np.zeros(n, bool), np.full(n, np.inf), np.zeros(n, int), 0, []
    inside[0] = True
    for _ in range(n - 1):
        nearer = (reach[at] < best) & ~inside
        best[nearer], source[nearer] = reach[at][nearer], at
        at = int(np.where(inside, np.inf, best).argmin())
        edges.append((best[at], int(source[at]), at))
        inside[at] = True
    return sorted(edges)


def hdbscan(vecs, neighbours, least=2):
    n = len(vecs)
    parent, size, tree = list(range(2 * n - 1)), [1] * n, []

    def find(x):
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for k, (w, a, b) in enumerate(spanning_tree(vecs, neighbours)):
        a, b = find(a), find(b)
        parent[a] = parent[b] = n + k
        size.append(size[a] + size[b])
        tree.append((a, b, 1 / max(w, 1e-6)))

    def leaves(x):
        out, stack = [], [x]
        while stack:
            y = stack.pop()
            if y < n:
                out.append(y)
            else:
                stack += tree[y - n][:2]
        return out

    nodes = [dict(birth=0.0, mass=0.0, kids=[], points=[])]
    stack = [(2 * n - 2, 0)]
    while stack:
        x, c = stack.pop()
        node = nodes[c]
        while True:
            a, b, rate = tree[x - n]
            if size[a] >= least and size[b] >= least:
                node["mass"] += (rate - node["birth"]) * (size[a] + size[b])
                for y in (a, b):
                    node["kids"].append(len(nodes))
                    stack.append((y, len(nodes)))
                    nodes.append(dict(birth=rate, mass=0.0, kids=[], points=[]))
                break
            if size[a] < least and size[b] < least:
                node["mass"] += (rate - node["birth"]) * (size[a] + size[b])
                node["points"] += leaves(x)
                break
            big, small = (a, b) if size[a] >= least else (b, a)
            node["mass"] += (rate - node["birth"]) * size[small]
            node["points"] += leaves(small)
            x = big
    for c in range(len(nodes) - 1, -1, -1):
        below = sum(nodes[k]["best"] for k in nodes[c]["kids"])
        nodes[c]["taken"] = c > 0 and nodes[c]["mass"] >= below
        nodes[c]["best"] = max(nodes[c]["mass"], below)
    groups, stack = np.full(n, -1), [(0, -1)]
    while stack:
        c, of = stack.pop()
        of = c if of < 0 and nodes[c]["taken"] else of
        if of >= 0:
            groups[nodes[c]["points"]] = of
        stack += [(k, of) for k in nodes[c]["kids"]]
    return singles(groups)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    mien = sys.argv[1]
    info = json.loads(subprocess.run([mien, "model", "info", "mien-face-embed", "--format", "json"], check=True,
                                     capture_output=True).stdout)
    points = {p["fmr"]: p["threshold"] for p in info["points"]}
    rates = [f for f in (1e-4, 2e-4, 5e-4, 1e-3, 2e-3) if f in points]
    for folder in sys.argv[2:]:
        vecs, people = load(mien, folder)
        print("%s: %d faces, %d people\n  %-36s  B-cubed F1  pairwise F1  B-cubed P, R" % (
            folder, len(vecs), people.max() + 1, ""))
        ways = [("HDBSCAN, %d neighbours" % k, lambda k=k: hdbscan(vecs, k)) for k in (1, 2, 3)]
        for f in rates:
            t = points[f]
            ways += [("average link, FMR %g" % f, lambda t=t: average_link(vecs, t)),
                     ("whispers, cosine, FMR %g" % f, lambda t=t: whispers(vecs, t, False)),
                     ("whispers, excess, FMR %g" % f, lambda t=t: whispers(vecs, t, True))]
        for name, run in ways:
            b, pair, precision, recall = scores(run().tolist(), people.tolist())
            print("  %-36s  %.4f      %.4f       %.4f, %.4f" % (name, b, pair, precision, recall), flush=True)


if __name__ == "__main__":
    main()
