#!/usr/bin/env python3
"""Measures accuracy on labelled pairs: `make accuracy`. Writes build/accuracy.json and prints the table.

1. The aligned crops of ../shared/eval/lfw-dev-aligned (1,600 pairs, 10 folds): embeddings by ONNX Runtime (OpenVINO for
   its own format) with the same preprocessing, against `mien eval pairs --aligned` on the same files. Aim: within 0.2
   points.
2. Pairs whose pictures exist both as crops and uncropped (from both lists of ../shared/eval): the whole way of
   `mien eval pairs` from the uncropped pictures, against `--aligned` on the crops. Aim: within 0.3 points.

Accuracy is that of the LFW protocol (Huang 2007): the threshold of each fold is the best of the other folds.
"""

import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "bench"))
sys.path.insert(0, os.path.join(ROOT, "tests", "parity"))
import venv_run  # noqa: E402

MODELS = (("mobilefacenet", "mobilefacenet_foamliu.onnx"),
          ("face-reidentification-retail-0095", "omz/face-reidentification-retail-0095.xml"))


def read_pairs(path):
    """[(picture a, picture b, mated, fold)]; a picture is (name, number)."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    head = [int(w) for w in lines[0].split()]
    folds, per = (head[0], head[1]) if len(head) == 2 else (1, head[0])
    pairs = []
    for i, line in enumerate(lines[1:1 + 2 * folds * per]):
        w = line.split("\t")
        b = (w[0], int(w[2])) if len(w) == 3 else (w[2], int(w[3]))
        pairs.append(((w[0], int(w[1])), b, len(w) == 3, i // (2 * per)))
    return pairs


def file_of(folder, picture):
    return os.path.join(folder, picture[0], f"{picture[0]}_{picture[1]:04d}.jpg")


def kfold(scores, mated, folds):
    """(mean, standard deviation) of the folds' accuracies."""
    import numpy as np
    result = []
    for k in sorted(set(folds)):
        test = folds == k
        train = ~test if (~test).any() else test
        s, m = scores[train], mated[train]
        order = np.argsort(s)
        s, m = s[order], m[order]
        # right below the cut: non-mated scores; right above it: mated ones
        right = np.concatenate([[0], np.cumsum(~m)]) + m.sum() - np.concatenate([[0], np.cumsum(m)])
        best = np.flatnonzero(right == right.max())
        best = best[len(best) // 2]
        cut = s[0] - 1 if best == 0 else s[-1] + 1 if best == len(s) else (s[best - 1] + s[best]) / 2
        result.append(float(((scores[test] >= cut) == mated[test]).mean()))
    return float(np.mean(result)), float(np.std(result, ddof=1)) if len(result) > 1 else 0.0


def by_reference(model_path, folder, pairs):
    import numpy as np
    from PIL import Image
    from check_models import crop_input, reference
    runtime, run = reference(model_path)
    vectors = {}
    for picture in sorted({p for pair in pairs for p in pair[:2]}):
        v = run(crop_input(model_path, Image.open(file_of(folder, picture)).convert("RGB")))[0].ravel().astype(np.float64)
        vectors[picture] = v / np.linalg.norm(v)
    scores = np.array([vectors[a] @ vectors[b] for a, b, _, _ in pairs])
    accuracy, std = kfold(scores, np.array([p[2] for p in pairs]), np.array([p[3] for p in pairs]))
    return {"runtime": runtime, "accuracy": accuracy, "accuracy_std": std}, scores


def by_mien(model, pairs_file, folder, aligned):
    from process import program
    cmd = [program(), "eval", "pairs", "--pairs", pairs_file, "--images", folder, "--model", model,
           "--detector", "yunet_n_dynamic", "--format", "json"]
    done = subprocess.run(cmd + (["--aligned"] if aligned else []), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"mien eval pairs ended with {done.returncode}: {done.stderr[-300:]}")
    return json.loads(done.stdout)


def common_pairs(shared, out):
    """Write the pairs whose pictures exist in both forms as a 10-fold pairs file; its path and their number."""
    forms = [os.path.join(shared, "eval", d, "images") for d in ("lfw-dev", "lfw-dev-aligned")]
    found = {True: [], False: []}
    for d in ("lfw-dev", "lfw-dev-aligned"):
        for a, b, mated, _ in read_pairs(os.path.join(shared, "eval", d, "pairs.txt")):
            there = all(os.path.exists(file_of(f, p)) for f in forms for p in (a, b))
            if there and (a, b) not in found[mated]:
                found[mated].append((a, b))
    per = min(len(found[True]), len(found[False])) // 10
    with open(out, "w", encoding="utf-8") as f:
        f.write(f"10\t{per}\n")
        for k in range(10):
            for a, b in found[True][k * per:(k + 1) * per]:
                f.write(f"{a[0]}\t{a[1]}\t{b[1]}\n")
            for a, b in found[False][k * per:(k + 1) * per]:
                f.write(f"{a[0]}\t{a[1]}\t{b[0]}\t{b[1]}\n")
    return out, 20 * per


def main():
    venv_run.enter(sys.argv)
    import nets
    import tables
    from process import program
    shared = nets.shared_dir()
    if not shared or not os.path.isdir(os.path.join(shared, "eval")) or not program():
        print("skipped: needs ../shared/eval and build/release/mien")
        return 77
    crops = os.path.join(shared, "eval", "lfw-dev-aligned")
    common, n_common = common_pairs(shared, os.path.join(ROOT, "build", "common-pairs.txt"))
    rows = []
    for name, source in MODELS:
        model = os.path.join(shared, "models", source)
        t0 = time.time()
        reference, _ = by_reference(model, os.path.join(crops, "images"), read_pairs(os.path.join(crops, "pairs.txt")))
        mien = by_mien(name, os.path.join(crops, "pairs.txt"), os.path.join(crops, "images"), True)
        rows.append({"model": name, "what": f"1,600 aligned crops, against {reference['runtime']}", "reference": reference,
                     "mien": mien, "points": 100 * (mien["accuracy"] - reference["accuracy"]), "bar": 0.2})
        aligned = by_mien(name, common, os.path.join(crops, "images"), True)
        whole = by_mien(name, common, os.path.join(shared, "eval", "lfw-dev", "images"), False)
        rows.append({"model": name, "what": f"{n_common} uncropped, against mien on their crops", "reference": aligned,
                     "mien": whole, "points": 100 * (whole["accuracy"] - aligned["accuracy"]), "bar": 0.3})
        print(f"{name}: {time.time() - t0:.0f} s", file=sys.stderr)
    data = {"rows": rows}
    with open(os.path.join(ROOT, "build", "accuracy.json"), "w", encoding="utf-8") as f:
        json.dump(data, f, indent=1, sort_keys=True)
        f.write("\n")
    print(tables.accuracy(data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
