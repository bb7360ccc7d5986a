#!/usr/bin/env python3
"""Prints what each layer of a network costs: layers.py [NETWORK [TOP]]; MIEN_CPU chooses the level.

Columns: share of the time, milliseconds, GFLOP/s counting a direct convolution's operations, kernel, operator, name.
"""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "bench"))
import venv_run  # noqa: E402


def main():
    venv_run.enter(sys.argv)
    import mienlib
    import nets
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    top = int(sys.argv[2]) if len(sys.argv) > 2 else 12
    out = os.path.join(ROOT, "build", "bench")
    os.makedirs(out, exist_ok=True)
    for net in nets.NETS:
        if wanted.lower() not in net.name.lower() or not nets.original(net, out):
            continue
        session = mienlib.Session(nets.original(net, out), net.shape)
        session.input[...] = nets.random_input(net)
        rows = session.layers(30)
        total = sum(r["ms"] for r in rows)
        print(f"{net.name}, {mienlib.lib().mien_cpu_level().decode()}: {total:.2f} ms in {len(rows)} steps")
        kinds = {}
        for r in rows:
            kind = kinds.setdefault(r["kernel"], [0, 0.0, 0.0])
            kind[0] += 1
            kind[1] += r["ms"]
            kind[2] += r["mmac"]
        for kernel, (count, ms, mmac) in sorted(kinds.items(), key=lambda k: -k[1][1]):
            print(f"  {100 * ms / total:5.1f} %  {ms:8.3f} ms  {2 * mmac / max(ms, 1e-9):7.1f} GFLOP/s  {count:3d} x {kernel}")
        for r in sorted(rows, key=lambda r: -r["ms"])[:top]:
            print(f"    {100 * r['ms'] / total:5.1f} %  {r['ms']:7.3f} ms  {2 * r['mmac'] / max(r['ms'], 1e-9):7.1f} GFLOP/s  "
                  f"{r['kernel']:24s} {r['op']:20s} {r['name']}")
        session.close()


if __name__ == "__main__":
    main()
