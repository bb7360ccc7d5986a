"""The `mien` program as a whole: wall time and peak memory of a comparison, memory over a thousand pictures."""

import json
import os
import statistics
import subprocess
import time

import nets

ROOT = nets.ROOT


def program():
    for path in (os.environ.get("MIEN_BIN"), os.path.join(ROOT, "build", "release", "mien")):
        if path and os.path.exists(path):
            return path
    return None


def run_once(cmd, timeout=600):
    """(seconds, peak KiB, exit code, stdout) of one process, from wait4()."""
    t0 = time.perf_counter()
    proc = subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = proc.stdout.read()
    _, status, usage = os.wait4(proc.pid, 0)
    seconds = time.perf_counter() - t0
    proc.returncode = os.waitstatus_to_exitcode(status)
    return seconds, usage.ru_maxrss, proc.returncode, out


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


def compare_cost(out_dir, runs=40):
    """`mien compare A B`: start to exit."""
    mien, pair = program(), two_pictures(out_dir)
    if not mien or not pair:
        return {"skipped": "needs build/release/mien and ../shared/photos"}
    cmd = [mien, "compare", *pair, "--model", "mobilefacenet", "--format", "json"]
    got = [run_once(cmd) for _ in range(runs + 2)][2:]
    code, out = got[-1][2], got[-1][3]
    if code not in (0, 1) and b"similarity" not in out:
        return {"skipped": f"mien compare ended with {code}"}
    seconds = sorted(g[0] for g in got)
    answer = json.loads(out)
    return {"command": "mien compare A.jpg B.jpg --model mobilefacenet --format json", "median_ms": statistics.median(seconds) * 1e3,
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
        seconds, peak, code, _ = run_once([mien, "detect", *files[:count], "--format", "csv"])
        if code not in (0, 1):
            return {"skipped": f"mien detect ended with {code}"}
        result[str(count)] = {"pictures": len(files[:count]), "peak_mb": peak / 1024, "seconds": seconds}
    return result
