"""The `mien` program as a whole: wall time and peak memory of a comparison, memory over a thousand pictures."""

import json
import os
import statistics
import subprocess
import sys

import nets

ROOT = nets.ROOT


def program():
    for path in (os.environ.get("MIEN_BIN"), os.path.join(ROOT, "build", "release", "mien")):
        if path and os.path.exists(path):
            return path
    return None


# Spawned from a small process of its own: a child's peak memory as wait4() tells it starts at its parent's, and this
# process, with its packages, is larger than what is measured.
HELPER = """
import json, os, sys, time
cmd, runs, realtime = json.loads(sys.argv[1])
if realtime:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
got = []
for i in range(runs):
    r, w = os.pipe()
    t0 = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0), (os.POSIX_SPAWN_DUP2, w, 1), (os.POSIX_SPAWN_CLOSE, r)]
    pid = os.posix_spawn(cmd[0], cmd, os.environ, file_actions=quiet)
    os.close(w)
    out = b""
    while True:
        part = os.read(r, 65536)
        if not part:
            break
        out = (out + part)[:65536]
    os.close(r)
    status, usage = os.wait4(pid, 0)[1:]
    got.append([time.perf_counter() - t0, usage.ru_maxrss, os.waitstatus_to_exitcode(status), out.decode(errors="replace")])
print(json.dumps(got))
"""


def run_times(cmd, runs, realtime=False):
    """[(seconds, peak KiB, exit code, start of stdout)] of as many processes, one after the other."""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", HELPER, json.dumps([cmd, runs, realtime])],
                          stdout=subprocess.PIPE, check=True, text=True)
    return [tuple(g) for g in json.loads(done.stdout)]


def two_pictures(out_dir):
    """Two 640x480 JPEGs made from portraits: the picture fitted in, grey around it."""
    from PIL import Image
    shared, made = nets.shared_dir(), []
    for name in ("neutral", "smiling"):
        dst = os.path.join(out_dir, f"{name}-640x480.jpg")
        src = shared and os.path.join(shared, "photos", "people", "london-002", name + ".jpg")
        if not src or not os.path.exists(src):
            return None
        picture = Image.open(src).convert("RGB")
        picture.thumbnail((640, 480))
        canvas = Image.new("RGB", (640, 480), (128, 128, 128))
        canvas.paste(picture, ((640 - picture.width) // 2, (480 - picture.height) // 2))
        canvas.save(dst, quality=92)
        made.append(dst)
    return made


def compare_cost(out_dir, runs=40, realtime=False):
    """`mien compare A B`: start to exit."""
    mien, pair = program(), two_pictures(out_dir)
    if not mien or not pair:
        return {"skipped": "needs build/release/mien and ../shared/photos"}
    cmd = [mien, "compare", *pair, "--model", "mobilefacenet", "--detector", "yunet_n_dynamic", "--format", "json"]
    got = run_times(cmd, runs + 2, realtime)[2:]
    code, out = got[-1][2], got[-1][3]
    if code not in (0, 1) and "similarity" not in out:
        return {"skipped": f"mien compare ended with {code}"}
    seconds = sorted(g[0] for g in got)
    answer = json.loads(out)
    return {"command": "mien compare A.jpg B.jpg --model mobilefacenet --detector yunet_n_dynamic --format json", "median_ms": statistics.median(seconds) * 1e3,
            "min_ms": seconds[0] * 1e3, "p90_ms": seconds[int(0.9 * len(seconds))] * 1e3, "runs": runs,
            "peak_mb": max(g[1] for g in got) / 1024, "similarity": answer.get("similarity"),
            "same": answer.get("same"), "bar_ms": 80, "bar_mb": 60}


def memory_growth():
    """Peak memory of one run over few pictures and over 1,000."""
    mien, shared = program(), nets.shared_dir()
    folder = shared and os.path.join(shared, "eval", "lfw-dev", "images")
    if not mien or not folder or not os.path.isdir(folder):
        return {"skipped": "needs build/release/mien and ../shared/eval/lfw-dev"}
    files = sorted(os.path.join(d, f) for d, _, names in os.walk(folder) for f in names if f.endswith(".jpg"))
    result = {"command": "mien detect FILES --format csv"}
    for count in (50, 1000):
        seconds, peak, code, _ = run_times([mien, "detect", *files[:count], "--format", "csv"], 1)[0]
        if code not in (0, 1):
            return {"skipped": f"mien detect ended with {code}"}
        result[str(count)] = {"pictures": len(files[:count]), "peak_mb": peak / 1024, "seconds": seconds}
    return result
