#!/usr/bin/env python3
"""Measures one step of training beside PyTorch on the CPU: `make bench-train`, or `python3 bench/train.py`.

Both train the same network (MobileFaceNet as src/train/arch.c builds it: 256 numbers out, batch normalisation by the batch,
PReLU) on one batch of random pictures that lies in memory: forward, the mean of 1 - cosine to random directions,
backward, AdamW. fp32. That the networks are the same is held by their number of weights and of multiplications.

How: one process; the programs take turns in changing order, each turn one untimed and a few timed steps; reported are
medians, and the median over rounds of mien's images per second divided by the peer's in the same round. PyTorch runs
contiguous and channels_last, each a peer of its own, and the faster one is the peer that counts. The C library's allocator is
told to keep what is freed (TUNING below): by default it gives a step's tensors back to the system and gets them anew, which
costs PyTorch a third of its speed; mien allocates nothing in a step.

Writes JSON (default build/train.json; bench/tables.py makes the table of docs/evaluation.md from it). PyTorch comes from
bench/requirements-train.txt and goes into build/bench-venv.
"""

import argparse
import ctypes as C
import json
import os
import statistics
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "bench"))
import venv_run  # noqa: E402

BAR = 1.0  # images per second, as a multiple of PyTorch's
TIMED = 2  # steps of a turn
TUNING = {"MALLOC_MMAP_THRESHOLD_": "17179869184", "MALLOC_TRIM_THRESHOLD_": "17179869184", "MALLOC_TOP_PAD_": "268435456"}
ROWS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))  # as `rows` in src/train/arch.c


# ---- the peer's network ----

def network(embed):
    """MobileFaceNet (Chen, Liu, Gao, Han 2018, table 1), layer by layer as mobilefacenet() in src/train/arch.c."""
    from torch import nn

    def unit(ic, oc, kernel, stride, pad, groups, act):
        layers = [nn.Conv2d(ic, oc, kernel, stride, pad, groups=groups, bias=False), nn.BatchNorm2d(oc, eps=1e-5, momentum=0.1)]
        return nn.Sequential(*layers, *([nn.PReLU(oc)] if act else []))

    class Bottleneck(nn.Module):
        def __init__(self, ic, hidden, oc, stride):
            super().__init__()
            self.body = nn.Sequential(unit(ic, hidden, 1, 1, 0, 1, True), unit(hidden, hidden, 3, stride, 1, hidden, True),
                                      unit(hidden, oc, 1, 1, 0, 1, False))
            self.adds = stride == 1 and ic == oc

        def forward(self, x):
            return x + self.body(x) if self.adds else self.body(x)

    layers, c = [unit(3, 64, 3, 2, 1, 1, True), unit(64, 64, 3, 1, 1, 64, True)], 64
    for t, oc, n, stride in ROWS:
        for i in range(n):
            layers.append(Bottleneck(c, t * c, oc, stride if i == 0 else 1))
            c = oc
    layers += [unit(c, 512, 1, 1, 0, 1, True), unit(512, 512, 7, 1, 0, 512, False), unit(512, embed, 1, 1, 0, 1, False),
               nn.Flatten(1)]
    net = nn.Sequential(*layers)
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out")
    return net.train()


class Torch:
    """One step after the other on the same batch."""

    def __init__(self, layout, batch, embed):
        import torch
        self.torch, self.name = torch, f"PyTorch, {layout}"
        form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        torch.manual_seed(1)
        self.net = network(embed).to(memory_format=form)
        self.x = (torch.rand(batch, 3, 112, 112) * 2 - 1).contiguous(memory_format=form)
        self.t = torch.nn.functional.normalize(torch.rand(batch, embed) * 2 - 1)
        # all weights in one vectorised pass where the version has it
        self.optim = torch.optim.AdamW(self.net.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)

    def weights(self):
        return sum(p.numel() for p in self.net.parameters())

    def step(self):
        self.optim.zero_grad(set_to_none=True)
        e = self.net(self.x)
        loss = (1 - self.torch.nn.functional.cosine_similarity(e, self.t)).mean()
        loss.backward()
        self.optim.step()
        return loss


# ---- mien ----

RUN = C.CFUNCTYPE(C.c_int, C.c_int, C.c_double, C.c_void_p)


class Opts(C.Structure):
    _fields_ = [("struct_size", C.c_size_t), ("arch", C.c_char_p), ("batch", C.c_int), ("threads", C.c_uint), ("side_px", C.c_int),
                ("runs", C.c_int), ("run", RUN), ("layer", C.c_void_p), ("user", C.c_void_p)]


class Result(C.Structure):
    _fields_ = [(n, C.c_double) for n in ("step_ms", "min_ms", "forward_ms", "loss_ms", "backward_ms", "optimiser_ms",
                                          "images_per_s")] + [("runs", C.c_int), ("height_px", C.c_int), ("width_px", C.c_int),
                                                              ("n_weights", C.c_size_t)]


def timed(step, count):
    """Milliseconds of `count` steps after one that is not counted."""
    import time
    step()
    got = []
    for _ in range(count):
        t0 = time.perf_counter()
        step()
        got.append((time.perf_counter() - t0) * 1e3)
    return got


def measure(args):
    """{name: [[ms of a turn's steps] per round]}, mien's parts, weights of each. mien calls back after each of its steps;
    the peers' turns lie in those calls, which its clock leaves out."""
    import mienlib
    peers = [] if args.alone else [Torch(layout, args.batch, args.embed) for layout in ("contiguous", "channels_last")]
    weights = {p.name: p.weights() for p in peers}
    times = {n: [] for n in ["mien"] + list(weights)}
    turn, fault = [], []

    def after(run, ms, _user):
        try:
            if run == -1:  # mien's warm-up ends
                for p in peers:
                    p.step(), p.step()
            if run < 0:
                return 0
            turn.append(ms)
            if len(turn) == 1 + TIMED:
                times["mien"].append(turn[1:])
                turn.clear()
                shift = len(times["mien"]) % max(len(peers), 1)
                for p in peers[shift:] + peers[:shift]:
                    times[p.name].append(timed(p.step, TIMED))
            return 0
        except Exception as e:  # must not cross the library; told below
            fault.append(e)
            return 1

    keep = RUN(after)
    opts = Opts(C.sizeof(Opts), f"mobilefacenet:embed={args.embed}".encode(), args.batch, args.threads, 0,
                args.rounds * (1 + TIMED), keep, None, None)
    result, err = Result(), mienlib.Error()
    status = mienlib.lib().mien_train_bench(C.byref(opts), C.byref(result), C.byref(err))
    if fault:
        raise fault[0]
    if status:
        raise SystemExit(f"bench: {err.message.decode(errors='replace')}")
    parts = {n: getattr(result, n + "_ms") for n in ("forward", "loss", "backward", "optimiser")}
    return times, parts, dict(weights, mien=result.n_weights)


def ratio(mien, peer):
    """Median over rounds of the peer's time divided by mien's, with the middle half: above 1 mien is faster."""
    r = sorted(statistics.median(p) / statistics.median(m) for m, p in zip(mien, peer))
    return {"median": statistics.median(r), "q1": r[len(r) // 4], "q3": r[(3 * len(r)) // 4]}


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--batch", type=int, default=32)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--embed", type=int, default=256)
    ap.add_argument("--rounds", type=int, default=12, help="of turns (default 12)")
    ap.add_argument("--alone", action="store_true", help="mien only")
    ap.add_argument("--out", default=os.path.join(ROOT, "build", "train.json"))
    args = ap.parse_args()
    if not args.alone:
        venv_run.enter_with(sys.argv, "requirements-train.txt", "torch")
    if any(os.environ.get(k) != v for k, v in TUNING.items()):  # read at the start of a process
        os.execve(sys.executable, [sys.executable, os.path.abspath(__file__)] + sys.argv[1:], dict(os.environ, **TUNING))
    import run
    page = {"machine": run.machine(), "batch": args.batch, "threads": args.threads, "embed": args.embed, "bar": BAR, "rows": {}}
    if not args.alone:
        import torch
        torch.set_num_threads(args.threads)
        page["pytorch"] = torch.__version__
    times, page["mien_parts_ms"], weights = measure(args)
    if len(set(weights.values())) != 1:
        raise SystemExit(f"bench: the networks differ: {weights}")
    page["weights"] = weights["mien"]
    for name, turns in times.items():
        flat = [t for turn in turns for t in turn]
        row = {"median_ms": statistics.median(flat), "min_ms": min(flat), "steps": len(flat),
               "images_per_second": 1e3 * args.batch / statistics.median(flat)}
        if name != "mien":
            row["mien_speed"] = ratio(times["mien"], turns)
        page["rows"][name] = row
        print(f"{name:24} {row['median_ms']:8.1f} ms {row['images_per_second']:7.1f} images/s" +
              (f"   mien {row['mien_speed']['median']:.2f} times as fast" if name != "mien" else ""))
    os.makedirs(os.path.dirname(args.out), exist_ok=True)
    with open(args.out, "w", encoding="ascii") as f:
        json.dump(page, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
