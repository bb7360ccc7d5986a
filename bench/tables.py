#!/usr/bin/env python3
"""Turns measurements (JSON of bench/run.py, bench/train.py, bench/accuracy.py, tests/parity) into the documentation's tables.

    bench/tables.py            rewrite the text between the markers in README.md and docs/evaluation.md
    bench/tables.py --check    exit 1 when that would change anything
    bench/tables.py --take     first copy build/{bench,train,accuracy,parity}.json to docs/data/

Markers: `<!-- table: NAME -->` ... `<!-- end table -->`. Only the standard library is needed.
"""

import json
import os
import re
import shutil
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DATA = os.path.join(ROOT, "docs", "data")
PAGES = ("README.md", os.path.join("docs", "evaluation.md"))
LEVEL_TEXT = {"native": "all the CPU offers", "avx2": "AVX2, AVX-512 hidden from every program"}


def grid(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows])


def _ms(x):
    return f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def speed(bench):
    """One table per level: milliseconds, and in brackets mien's time divided by that program's."""
    parts = []
    for level, data in sorted(bench["levels"].items(), key=lambda item: item[0] != "native"):
        names = []
        for net in data.get("nets", {}).values():
            names += [n for n in net["rows"] if n not in names]
        names.sort(key=lambda n: n != "mien")
        rows = []
        for net_name, net in data.get("nets", {}).items():
            row = [f"{net_name} ({net['mmac']:.0f} MMAC)"]
            for n in names:
                r = net["rows"].get(n)
                if not r:
                    row.append("-")
                elif "mien_ratio" in r:
                    row.append(f"{_ms(r['median_ms'])} ({r['mien_ratio']['median']:.2f})")
                else:
                    row.append(("**" + _ms(r["median_ms"]) + "**") if n == "mien" else _ms(r["median_ms"]))
            rows.append(row)
        versions = {n: r["version"] for net in data.get("nets", {}).values() for n, r in net["rows"].items()}
        head = ["median ms, one thread"] + [f"{n} {versions.get(n, '')}".strip() for n in names]
        title = f"AVX2 ({data['note']})" if level == "avx2" and "note" in data else LEVEL_TEXT.get(level, level)
        parts.append(f"{title[0].upper()}{title[1:]}:\n\n" + grid(head, rows))
    m = bench["machine"]
    parts.append(f"{m['cpu']} ({m['cores']} cores), {m['compiler']}, commit {m['commit']}, {m['date']}. In brackets: mien's "
                 "time divided by that program's, median over rounds; below 1 mien is faster.")
    return "\n\n".join(parts) + "\n"


def bars(bench):
    """The aims for ONNX Runtime against what was measured, per level."""
    rows = []
    for level, data in sorted(bench["levels"].items(), key=lambda item: item[0] != "native"):
        for name, net in data.get("nets", {}).items():
            got = net["rows"].get("ONNX Runtime", {}).get("mien_ratio")
            if not got or not net.get("bar_onnxruntime"):
                continue
            others = {n: r["mien_ratio"]["median"] for n, r in net["rows"].items()
                      if "mien_ratio" in r and n != "ONNX Runtime"}
            behind = [f"{n} ({v:.2f})" for n, v in others.items() if v >= 1]
            rows.append([level, name, f"{got['median']:.2f} ({got['q1']:.2f} to {got['q3']:.2f})",
                         f"{net['bar_onnxruntime']:.2f}", "yes" if got["median"] <= net["bar_onnxruntime"] else "no",
                         ", ".join(behind) or "none"])
    return grid(["level", "network", "mien / ONNX Runtime (middle half)", "aim", "reached", "slower than"], rows) + "\n"


def whole(bench):
    """Threads, start-up and memory."""
    rows = []
    t = bench.get("threads", {})
    for name in ("mien", "ONNX Runtime"):
        if name in t:
            rows.append([f"{name}: two threads against one, IResNet-50",
                         f"{t[name]['speedup']['median']:.2f} times as fast ({_ms(t[name]['two']['median_ms'])} ms)",
                         "1.8" if name == "mien" else ""])
    p = bench.get("process", {})
    if "median_ms" in p:
        rows.append(["`mien compare` of two 640x480 JPEGs, whole process", f"{p['median_ms']:.0f} ms (90 % under "
                     f"{p['p90_ms']:.0f} ms)", f"{p['bar_ms']} ms"])
        rows.append(["its peak memory", f"{p['peak_mb']:.1f} MB", f"{p['bar_mb']} MB"])
    g = bench.get("memory", {})
    if "1000" in g:
        rows.append(["`mien detect` over 50, over 1,000 pictures: peak memory",
                     f"{g['50']['peak_mb']:.1f} MB, {g['1000']['peak_mb']:.1f} MB", "no growth"])
    for key in ("process", "memory"):
        if "skipped" in bench.get(key, {}):
            rows.append([key, "not measured: " + bench[key]["skipped"], ""])
    return grid(["what", "measured", "aim"], rows) + "\n"


def accuracy(data):
    rows = [[r["model"], r["what"], f"{100 * r['reference']['accuracy']:.2f} ± {100 * r['reference']['accuracy_std']:.2f}"
             if r.get("reference") else "-", f"{100 * r['mien']['accuracy']:.2f} ± {100 * r['mien']['accuracy_std']:.2f}",
             f"{r['points']:+.2f}" if r.get("points") is not None else "-", f"{r['bar']:.1f}"] for r in data["rows"]]
    return grid(["model", "pairs", "reference, %", "mien, %", "difference, points", "aim: at most below"], rows) + "\n"


def parity(data):
    rows = []
    for r in data["rows"]:
        rows.append([r["model"], r["reference"], r["level"], str(r["n"]), r["worst"], "yes" if r["ok"] else "**no**"])
    return grid(["network", "reference", "mien's kernels", "inputs", "worst found", "within bounds"], rows) + "\n"


def training(data):
    """One step of training, mien and PyTorch in both layouts."""
    rows = []
    for name, r in data["rows"].items():
        got = r.get("mien_speed")
        rows.append([("**mien**" if name == "mien" else name.replace("PyTorch", f"PyTorch {data['pytorch']}")), _ms(r["median_ms"]),
                     f"{r['images_per_second']:.1f}",
                     f"{got['median']:.2f} ({got['q1']:.2f} to {got['q3']:.2f})" if got else "",
                     f"{data['bar']:.1f}" if got else ""])
    m = data["machine"]
    return grid(["step", "median ms", "images/s", "mien's images/s divided by its (middle half)", "aim: at least"], rows) + (
        f"\n\n{m['cpu']}, {data['threads']} threads, batch {data['batch']}, {data['weights']:,} weights, {m['compiler']}, commit "
        f"{m['commit']}, {m['date']}.\n")


TABLES = {"training": ("train", training), "speed": ("bench", speed), "bars": ("bench", bars), "whole": ("bench", whole),
          "accuracy": ("accuracy", accuracy), "parity": ("parity", parity)}


def rewrite(text):
    def one(match):
        name = match.group(1)
        source, make = TABLES[name]
        path = os.path.join(DATA, source + ".json")
        if not os.path.exists(path):
            return match.group(0)
        with open(path, encoding="utf-8") as f:
            return f"<!-- table: {name} -->\n{make(json.load(f))}<!-- end table -->"
    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end table -->", one, text, flags=re.S)


def main():
    if "--take" in sys.argv:
        os.makedirs(DATA, exist_ok=True)
        for name in ("bench", "train", "accuracy", "parity"):
            src = os.path.join(ROOT, "build", name + ".json")
            if os.path.exists(src):
                shutil.copyfile(src, os.path.join(DATA, name + ".json"))
    stale = []
    for page in PAGES:
        path = os.path.join(ROOT, page)
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as f:
            old = f.read()
        new = rewrite(old)
        if new != old:
            stale.append(page)
            if "--check" not in sys.argv:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(new)
    print("tables: " + (", ".join(stale) + (" out of date" if "--check" in sys.argv else " rewritten") if stale else "up to date"))
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
