#!/usr/bin/env python3
"""Holds `mien eval scores` against figures computed by other means.

usage: check_eval.py MIEN

For random tables of scores (many equal ones, few values, distances, far more of one kind), in plain Python:
  ROC   every point by counting, threshold by threshold
  AUC   from the sum of midranks (Mann, Whitney 1947), in exact fractions
  EER   by intersecting each edge of the ROC polygon with FMR = FNMR, in exact fractions
  folds accuracy of each fold over every threshold that is best on the others: the program's lies among them
and, where scikit-learn can be imported, roc_curve, roc_auc_score and the crossing of its polygon. All must agree to
1e-9. Exit 1 when something does not.
"""
import bisect, csv, json, os, random, subprocess, sys, tempfile
from fractions import Fraction

BOUND = 1e-9


def tables():
    rng = random.Random(20)
    for n, digits, share, gap, lower in ((60, 1, .5, .3, 0), (500, 2, .3, .4, 0), (3000, 6, .1, .5, 0), (3000, 3, .5, 0, 0),
                                         (2000, 4, .02, .3, 1), (400, 0, .5, 1, 1), (1000, 9, .5, 3, 0)):
        rows = [(1, gap + rng.gauss(0, .3)) if rng.random() < share else (0, rng.gauss(0, .3)) for _ in range(n)]
        rows += [(1, gap), (0, 0.0)]
        yield [(m, round(-s if lower else s, digits) + 0.0, rng.randrange(10)) for m, s in rows], lower


def midrank_auc(mated, nonmated):
    everything = sorted(mated + nonmated)
    ranks = sum(Fraction(bisect.bisect_left(everything, s) + bisect.bisect_right(everything, s) + 1, 2) for s in mated)
    n, m = len(mated), len(nonmated)
    return (ranks - Fraction(n * (n + 1), 2)) / (n * m)


def roc(mated, nonmated):
    """Points (threshold, FMR, TMR), exact, from the strictest on."""
    mated, nonmated = sorted(mated), sorted(nonmated)
    points = [(None, Fraction(0), Fraction(0))]
    for t in sorted(set(mated + nonmated), reverse=True):
        points.append((t, Fraction(len(nonmated) - bisect.bisect_left(nonmated, t), len(nonmated)),
                       Fraction(len(mated) - bisect.bisect_left(mated, t), len(mated))))
    return points


def crossing(points):
    """Where a polygon of (FMR, TMR) meets TMR = 1 - FMR."""
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        d0, d1 = x0 + y0 - 1, x1 + y1 - 1
        if d1 >= 0:
            return x0 + (x1 - x0) * (-d0 / (d1 - d0))
    raise ValueError("no crossing")


def fold_range(rows):
    """Lowest and highest accuracy over folds, over all equally good choices of the thresholds."""
    low, high = [], []
    for fold in range(10):
        train = [(s, m) for m, s, f in rows if f != fold]
        test = [(s, m) for m, s, f in rows if f == fold]
        values = sorted(set(s for s, _ in train))
        cuts = values + [values[-1] + 1]
        right = [sum((s >= c) == bool(m) for s, m in train) for c in cuts]
        best = [i for i, r in enumerate(right) if r == max(right)]
        accuracy = []
        for i in best:  # any threshold in (values[i - 1], values[i]] decides alike on the others
            below = values[i - 1] if i > 0 else values[0] - 1
            inner = [below + 1e-12] + [s + 1e-12 for s, _ in test if below < s < cuts[i]] + [cuts[i]]
            accuracy += [sum((s >= c) == bool(m) for s, m in test) / len(test) for c in inner]
        low.append(min(accuracy))
        high.append(max(accuracy))
    return sum(low) / 10, sum(high) / 10


def run(mien, rows, lower, folder):
    path, points = os.path.join(folder, "s.csv"), os.path.join(folder, "roc.csv")
    with open(path, "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["distance" if lower else "score", "mated", "fold"])
        out.writerows([repr(s), m, fold] for m, s, fold in rows)
    done = subprocess.run([mien, "eval", "scores", path, "--roc", points, "--resamples", "0", "-f", "json"], check=True,
                          capture_output=True)
    with open(points, newline="") as f:
        got = [(r["threshold"], float(r["fmr"]), float(r["tmr"])) for r in csv.DictReader(f)]
    return json.loads(done.stdout), got


def differs(name, got, want):
    if abs(got - float(want)) <= BOUND:
        return 0
    print("%s: got %.15g, want %.15g" % (name, got, float(want)))
    return 1


def check_plain(page, got, rows, sign):
    mated = [sign * s for m, s, _ in rows if m]
    nonmated = [sign * s for m, s, _ in rows if not m]
    want = roc(mated, nonmated)
    faults = differs("AUC", page["auc"], midrank_auc(mated, nonmated))
    faults += differs("EER", page["eer"], crossing([(x, y) for _, x, y in want]))
    if len(got) != len(want):
        print("ROC has %d points, want %d" % (len(got), len(want)))
        return faults + 1
    for (t, x, y), (want_t, want_x, want_y) in zip(got, want):
        faults += differs("FMR", x, want_x) + differs("TMR", y, want_y)
        if want_t is not None and sign * float(t) != want_t:
            print("ROC threshold %s, want %r" % (t, want_t))
            faults += 1
    low, high = fold_range([(m, sign * s, f) for m, s, f in rows])
    if not low - BOUND <= page["accuracy"] <= high + BOUND or page["folds"] != 10:
        print("fold accuracy %r is not in [%r, %r]" % (page["accuracy"], low, high))
        faults += 1
    return faults


def check_sklearn(page, got, rows, sign):
    from sklearn.metrics import roc_auc_score, roc_curve
    labels, scores = [m for m, _, _ in rows], [sign * s for _, s, _ in rows]
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    faults = differs("AUC (scikit-learn)", page["auc"], roc_auc_score(labels, scores))
    faults += differs("EER (scikit-learn)", page["eer"], crossing(list(zip(map(float, fpr), map(float, tpr)))))
    if len(fpr) != len(got):
        print("ROC has %d points, scikit-learn %d" % (len(got), len(fpr)))
        return faults + 1
    for (_, x, y), want_x, want_y in zip(got, fpr, tpr):
        faults += differs("FMR (scikit-learn)", x, want_x) + differs("TMR (scikit-learn)", y, want_y)
    return faults


def main():
    mien = os.path.abspath(sys.argv[1])
    faults = n = 0
    try:
        import sklearn
        peer = "scikit-learn " + sklearn.__version__
    except ImportError:
        peer = None
    for rows, lower in tables():
        with tempfile.TemporaryDirectory(prefix="mien-eval-") as folder:
            page, got = run(mien, rows, lower, folder)
        sign = -1 if lower else 1
        faults += check_plain(page, got, rows, sign)
        if peer:
            faults += check_sklearn(page, got, rows, sign)
        n += 1
    print("%d tables, held against plain Python%s: %d differences above %g" %
          (n, " and " + peer if peer else " (scikit-learn is not here)", faults, BOUND))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
