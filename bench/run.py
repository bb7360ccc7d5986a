#!/usr/bin/env python3
"""Measures mien against its peers on this machine: `make bench`, or `python3 bench/run.py`.

What is timed: one inference on a float tensor that lies in memory, batch 1, one thread pinned to the first core.
How: all programs live in one process and take turns (A B C ... then in another order), each turn one untimed
run and a few timed ones; reported are the median, the minimum, and the median over rounds of mien's time divided by the
peer's in the same round. Once with all the CPU offers ("native") and, where that is AVX-512, once more with
AVX-512 hidden from every program (bench/cpumask.c), which is what most desktop machines have. Where the processor
cannot trap CPUID nothing can be hidden: then only programs with a switch of their own (mien, oneDNN) run at that level,
and the table says so.
Then: two threads against one, `mien compare` as a whole process (time, peak memory), memory over 1,000 pictures.

Writes JSON (default build/bench.json; bench/tables.py turns it into the tables of the documentation).
Peers that are not installed are named and skipped. The Python packages come from bench/requirements.txt and go into
build/bench-venv.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "bench"))
import venv_run  # noqa: E402

OUT = os.path.join(ROOT, "build", "bench")
SWITCHED = "oneDNN"  # peers that keep to AVX2 when told so by their environment


def text_of(*cmd):
    try:
        return subprocess.run(cmd, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", open("/proc/cpuinfo", encoding="ascii", errors="replace").read())
    flags = text_of("grep", "-m1", "flags", "/proc/cpuinfo").split()
    cache = os.path.join(ROOT, "build", "release", "CMakeCache.txt")
    compiler = ""
    if os.path.exists(cache):
        found = re.search(r"CMAKE_C_COMPILER:\w+=(.*)", open(cache, encoding="utf-8").read())
        compiler = text_of(found.group(1), "--version").splitlines()[:1] if found else ""
        compiler = compiler[0] if compiler else ""
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "isa": [f for f in ("sse4_2", "avx2", "fma", "avx512f", "avx512_fp16", "amx_tile") if f in flags],
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "compiler": compiler,
        "commit": text_of("git", "rev-parse", "--short", "HEAD") + ("+" if text_of("git", "status", "--porcelain", "-uno") else ""),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def pin(cores, realtime):
    os.sched_setaffinity(0, cores)
    if realtime:  # a busy machine's other processes then hardly matter; needs the privilege
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def rounds(runners, seconds, timed_per_turn=3):
    """Let the runners take turns for some seconds; {name: [[ms of a turn's timed runs] per round]}."""
    times = {r.name: [] for r in runners}
    for r in runners:
        for _ in range(3):
            r.run()
    end, turn = time.perf_counter() + seconds, 0
    while turn < 5 or time.perf_counter() < end:
        shift = turn % len(runners)
        for r in runners[shift:] + runners[:shift]:
            r.run()
            got = []
            for _ in range(timed_per_turn):
                t0 = time.perf_counter()
                inner = r.run()
                t = time.perf_counter() - t0
                got.append((inner if inner is not None else t) * 1e3)
            times[r.name].append(got)
        turn += 1
    return times


def summary(turns):
    flat = [t for turn in turns for t in turn]
    return {"median_ms": statistics.median(flat), "min_ms": min(flat), "runs": len(flat)}


def ratio(a, b):
    """Median over rounds of (median of a's turn / median of b's turn), with the middle half of the rounds."""
    r = sorted(statistics.median(x) / statistics.median(y) for x, y in zip(a, b))
    return {"median": statistics.median(r), "q1": r[len(r) // 4], "q3": r[(3 * len(r)) // 4]}


def agreement(outs, reference):
    """Largest |difference| relative to the reference's largest value, outputs paired by size and nearness."""
    import numpy as np
    worst, rest = 0.0, [np.asarray(o, np.float32).ravel() for o in outs]
    for ref in reference:
        ref = ref.ravel()
        same = [o for o in rest if o.size == ref.size]
        if not same:
            return float("inf")
        best = min(same, key=lambda o: float(np.abs(o - ref).max()))
        worst = max(worst, float(np.abs(best - ref).max() / max(float(np.abs(ref).max()), 1e-6)))
    return worst


def measure_net(net, peers, seconds, skipped):
    import nets
    import peers as P
    made = []
    for kind in peers:
        if kind is P.Mien and nets.mienlib_missing():
            skipped.setdefault("mien", "libmien.so is not built")
            continue
        try:
            runner = kind(net, OUT)
            runner.run()
            made.append(runner)
        except Exception as e:  # whatever a peer raises: it is named as skipped
            skipped[f"{kind.name}, {net.name}"] = str(e).splitlines()[0][:160] if str(e) else type(e).__name__
    reference = next((r.outputs() for r in made if r.name == P.OnnxRuntime.name), None)
    times = rounds(made, seconds)
    result = {"mmac": nets.mmacs(net, OUT), "bar_onnxruntime": net.bar_ort, "rows": {}}
    for r in made:
        row = summary(times[r.name])
        row["version"] = r.version
        if r.name != P.Mien.name and P.Mien.name in times:
            row["mien_ratio"] = ratio(times[P.Mien.name], times[r.name])
        outs = r.outputs()
        if outs is not None and reference is not None and r.name != P.OnnxRuntime.name:
            row["max_rel_diff"] = agreement(outs, reference)
        result["rows"][r.name] = row
        if hasattr(r, "close"):
            r.close()
    return result


def child(args):
    """One level, in a process that sees only that level."""
    import nets
    import peers as P
    pin({min(os.sched_getaffinity(0))}, args.realtime)
    chosen = [n for n in nets.NETS + (nets.OPTIONAL_NETS if args.all else [])
              if not args.nets or any(k.lower() in n.name.lower() for k in args.nets.split(","))]
    kinds = [P.Mien] + P.PEERS
    if args.peers:
        kinds = [P.Mien] + [k for k in P.PEERS if any(w.lower() in k.name.lower() for w in args.peers.split(","))]
    skipped, result = {}, {}
    for net in chosen:
        if nets.original(net, OUT) is None:
            skipped[net.name] = f"../shared/models/{net.source} is not here"
            continue
        result[net.name] = measure_net(net, kinds, args.seconds, skipped)
    with open(args.child_out, "w", encoding="ascii") as f:
        json.dump({"nets": result, "skipped": skipped}, f)


def child_threads(args):
    """Two threads against one on IResNet-50; the two cores are free to be used."""
    import nets
    import peers as P
    cores = sorted(os.sched_getaffinity(0))[:2]
    pin(set(cores), args.realtime)
    net, result = nets.NETS[0], {"cores": len(cores)}
    for kind in (P.Mien, P.OnnxRuntime):
        if kind is P.Mien and nets.mienlib_missing():
            continue
        runners = [kind(net, OUT, threads=n) for n in (1, 2)]
        for r, n in zip(runners, (1, 2)):
            r.name = f"{kind.name} {n}"
        times = rounds(runners, args.seconds)
        names = [r.name for r in runners]
        result[kind.name] = {"one": summary(times[names[0]]), "two": summary(times[names[1]]),
                             "speedup": ratio(times[names[0]], times[names[1]])}
    with open(args.child_out, "w", encoding="ascii") as f:
        json.dump(result, f)


def mask_library():
    mask = os.path.join(OUT, "libcpumask.so")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", os.path.join(ROOT, "bench", "cpumask.c"),
                    "-o", mask], check=True)
    return mask


def can_hide():
    """Does the mask hide anything here? It complains where CPUID does not trap (AMD, some virtual machines)."""
    done = subprocess.run([sys.executable, "-c", ""], env=dict(os.environ, LD_PRELOAD=mask_library()),
                          stderr=subprocess.PIPE, text=True)
    return done.returncode == 0 and "cpumask:" not in done.stderr


def spawn(args, level, what="--child", peers=None):
    out = os.path.join(OUT, f"result-{level}{what}.json")
    env = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    if what == "--child-threads":
        env.pop("OMP_NUM_THREADS")
    if level == "avx2":
        env.update(LD_PRELOAD=mask_library(), MIEN_CPU="avx2", ONEDNN_MAX_CPU_ISA="AVX2", DNNL_MAX_CPU_ISA="AVX2")
    cmd = [sys.executable, os.path.abspath(__file__), what, level, "--child-out", out, "--seconds", str(args.seconds)]
    cmd += (["--nets", args.nets] if args.nets else []) + (["--peers", peers or args.peers] if peers or args.peers else [])
    cmd += (["--all"] if args.all else []) + (["--realtime"] if args.realtime else [])
    done = subprocess.run(cmd, env=env, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        raise SystemExit(f"bench: the {level} run failed")
    with open(out, encoding="ascii") as f:
        return json.load(f)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--seconds", type=float, default=12, help="per network and level (default 12)")
    ap.add_argument("--nets", help="only networks whose name contains one of these (comma separated)")
    ap.add_argument("--peers", help="only these peers, likewise")
    ap.add_argument("--levels", default="native,avx2")
    ap.add_argument("--skip", default="", help="of: threads,process,memory")
    ap.add_argument("--all", action="store_true", help="IResNet-100 as well")
    ap.add_argument("--realtime", action="store_true", help="run with real-time priority (on a machine in use)")
    ap.add_argument("--out", default=os.path.join(ROOT, "build", "bench.json"))
    ap.add_argument("--child", help=argparse.SUPPRESS)
    ap.add_argument("--child-threads", help=argparse.SUPPRESS)
    ap.add_argument("--child-out", help=argparse.SUPPRESS)
    args = ap.parse_args()
    venv_run.enter(sys.argv)
    os.makedirs(OUT, exist_ok=True)
    if args.child:
        return child(args)
    if args.child_threads:
        return child_threads(args)

    import nets
    import process
    import tables
    for net in nets.NETS:  # conversions, outside every clock
        if nets.original(net, OUT):
            nets.static_onnx(net, OUT)
    info = machine()
    result = {"machine": info, "levels": {}}
    for level in args.levels.split(","):
        if level == "avx2" and "avx512f" not in info["isa"]:
            result["levels"]["native"]["note"] = "AVX2 is all this CPU offers"
            continue
        hidden = level != "avx2" or can_hide()
        result["levels"][level] = spawn(args, level, peers=None if hidden else SWITCHED)
        if not hidden:
            result["levels"][level]["note"] = ("this processor cannot hide AVX-512 from other programs; those without "
                                               "a switch of their own are left out")
    skip = args.skip.split(",")
    if "threads" not in skip and len(os.sched_getaffinity(0)) > 1:
        result["threads"] = spawn(args, "native", "--child-threads")
    if "process" not in skip:
        result["process"] = process.compare_cost(OUT, realtime=args.realtime)
    if "memory" not in skip:
        result["memory"] = process.memory_growth()
    with open(args.out, "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1, sort_keys=True)
        f.write("\n")
    print(tables.speed(result))
    print(tables.whole(result))
    skipped = {k: v for level in result["levels"].values() for k, v in level.get("skipped", {}).items()}
    for key, why in sorted(skipped.items()):
        print(f"skipped: {key}: {why}")
    print(f"written: {os.path.relpath(args.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
