#!/usr/bin/env python3
"""Measures the search index beside FAISS on this machine: `make bench-search`, or `python3 bench/search.py`.

    bench/search.py [--n N] [--dim D] [--threads 1,2] [--rounds R] [--npy FILE] [--probes N] [--no-pq]

Compiles bench/search.c, and bench/search_faiss.cc where Debian's libfaiss-dev, libopenblas-dev and g++ are there
(without them mien is measured alone), runs it once per number of threads, one thread pinned to the last processor,
and then once more for resident memory. Writes build/search.json and prints the table of docs/search.md.

`--npy` takes real embeddings, as `mien embed --out FILE.npy` writes them.
"""
import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build", "release")
OUT = os.path.join(ROOT, "build", "bench")

# What is asked of each: (key, text, unit, at least / at most, how much)
BARS = [
    ("batch1_ms", "one query, int8 and float", "ms", None, None),
    ("batch64_ms_per_query", "batch of 64", "ms a query", None, None),
    ("recall_at_10", "recall@10 against float64", "", ">=", 1.0),
    ("fetched_per_query", "templates compared in float64 a query", "", None, None),
    ("of_bound", "of the rate of a plain read of the codes", "", ">=", 0.7),
    ("batch1_ratio", "IndexFlatIP takes, one query", "times", ">=", 4),
    ("batch64_ratio", "IndexFlatIP takes, batch of 64", "times", ">=", 2),
    ("coded_batch1_ms", "one query by sign codes", "ms", None, None),
    ("coded_batch64_ms_per_query", "batch of 64 by sign codes", "ms a query", None, None),
    ("coded_batch1_ratio_to_int8", "int8 takes, one query", "times", ">=", 4),
    ("coded_batch64_ratio_to_int8", "int8 takes, batch of 64", "times", None, None),
    ("mates_kept", "mates at the floor kept", "", ">=", 0.999),
    ("coded_batch1_ratio_to_pq", "IndexPQFastScan and refine take, one query", "times", ">=", 1),
    ("coded_batch64_ratio_to_pq", "IndexPQFastScan and refine take, batch of 64", "times", ">=", 1),
    ("faiss_pq_k_factor", "k_factor at which it keeps as many", "", None, None),
    ("open_ms", "opening the file", "ms", "<=", 1000),
    ("first_search_ms", "first search after that, checksums and all", "ms", None, None),
    ("open_sealed_ms", "opening it sealed", "ms", "<=", 1000),
    ("save_ms", "saving it", "ms", None, None),
    ("add_per_s", "templates added a second", "", None, None),
    ("check_ms", "self-test", "ms", None, None),
    ("rss_mb", "resident memory of a process that searches it", "MB", "<=", 600),
]


def build():
    os.makedirs(OUT, exist_ok=True)
    obj, peer, exe = (os.path.join(OUT, f) for f in ("search.o", "search_faiss.o", "search"))
    cc = ["-D_GNU_SOURCE", "-O3", "-Wall", "-Wextra", "-I" + os.path.join(ROOT, "include")]
    link = ["-L" + BUILD, "-Wl,-rpath," + BUILD, "-lmien", "-lpthread", "-lm", "-o", exe]
    subprocess.run(["cc", "-std=c11", *cc, "-c", os.path.join(ROOT, "bench/search.c"), "-o", obj], check=True)
    source = os.path.join(ROOT, "bench/search_faiss.cc")
    if shutil.which("g++") and os.path.exists("/usr/include/faiss/IndexFlat.h"):
        made = subprocess.run(["g++", "-O2", "-fopenmp", "-c", source, "-o", peer])
        if made.returncode == 0:
            made = subprocess.run(["g++", obj, peer, "-lfaiss", "-lopenblas", "-fopenmp", *link])
        if made.returncode == 0:
            return exe, True
    print("search.py: FAISS is not here (scripts/setup bench): mien alone", file=sys.stderr)
    none = os.path.join(OUT, "search_nofaiss.o")
    subprocess.run(["cc", "-std=c11", *cc, "-DNO_FAISS", "-c", os.path.join(ROOT, "bench/search.c"), "-o", none], check=True)
    subprocess.run(["cc", none, *link], check=True)
    return exe, False


def run(exe, threads, **args):
    command = [exe, f"threads={threads}"] + [f"{k}={v}" for k, v in args.items() if v is not None]
    cpus = sorted(os.sched_getaffinity(0))
    if threads == 1 and shutil.which("taskset"):
        command = ["taskset", "-c", str(cpus[-1])] + command
    env = dict(os.environ, OPENBLAS_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def cpu_name():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def table(results):
    lines = ["| what | " + " | ".join(f"{r['threads']} thread{'s' * (r['threads'] > 1)}" for r in results) + " | bar |",
             "|---|" + "---|" * (len(results) + 1)]
    missed = []
    for key, text, unit, how, bar in BARS:
        values = [r.get(key) for r in results]
        if all(v is None for v in values):
            continue
        shown = ["-" if v is None else f"{v:.4g}" + (f" {unit}" if unit else "") for v in values]
        lines.append(f"| {text} | " + " | ".join(shown) + f" | {how + ' ' + format(bar, 'g') if how else ''} |")
        for r, v in zip(results, values):
            if v is not None and how and not (v >= bar if how == ">=" else v <= bar):
                missed.append(f"{text}, {r['threads']} thread(s): {v:g}, not {how} {bar:g}")
    return "\n".join(lines), missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=1000000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--threads", default="1" if len(os.sched_getaffinity(0)) < 2 else "1,2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--probes", type=int, default=5000)
    parser.add_argument("--npy")
    parser.add_argument("--no-pq", action="store_true")
    parser.add_argument("--out", default=os.path.join(ROOT, "build", "search.json"))
    args = parser.parse_args()
    exe, faiss = build()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for threads in (int(t) for t in args.threads.split(",")):
            r = run(exe, threads, n=args.n, dim=args.dim, rounds=args.rounds, probes=args.probes, npy=args.npy, dir=folder,
                    faiss=int(faiss), pq=int(faiss and not args.no_pq))
            r.update(run(exe, threads, only="rss", dim=r["dim"], file=os.path.join(folder, "mien-bench-index")))
            results.append(r)
            print(json.dumps(r))
    text, missed = table(results)
    report = {"cpu": cpu_name(), "machine": platform.machine(), "results": results, "missed": missed}
    with open(args.out, "w") as f:
        json.dump(report, f, indent=1)
    print(f"\n{report['cpu']}, {args.n:,} templates of {results[0]['dim']} numbers, {results[0]['data']}\n\n{text}\n")
    for line in missed:
        print("missed: " + line)


if __name__ == "__main__":
    main()
