#!/usr/bin/env python3
"""Hold the real models against their reference runtimes on real pictures, at every kernel level of this CPU.

usage: check_models.py [--all] [--levels scalar,sse2,...]

Embeddings, landmarks and eye states: 200 aligned crops of ../shared/eval/lfw-dev-aligned (a few without --all; fewer on
scalar kernels), through ONNX Runtime or, for OpenVINO IR, OpenVINO in fp32. Bounds: cosine > 0.99999 and a largest
absolute difference stated per model. Detectors: the group photographs of ../shared/photos through ONNX Runtime; raw
outputs, then every candidate with a score of at least 0.3 on either side, decoded by the decoder below: boxes and
landmarks within 0.5 px, scores within 1e-3.

Exit 0 when all hold, 1 when one does not, 77 when packages or pictures are missing. --all makes build/bench-venv
with the packages, and writes build/parity.json.
"""

import argparse
import glob
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
import venv_run  # noqa: E402

WORK = os.path.join(ROOT, "build", "parity")
STRIDES = (8, 16, 32)
# model file, kind, largest absolute difference allowed on the raw outputs (of unit vectors for embeddings)
MODELS = [
    ("mobilefacenet_foamliu.onnx", "embed", 5e-6),
    ("omz/face-reidentification-retail-0095.xml", "embed", 5e-6),
    ("omz/landmarks-regression-retail-0009.xml", "points", 5e-6),
    ("omz/open-closed-eye.onnx", "points", 5e-6),
    ("yunet_n_dynamic.onnx", "yunet", 5e-4),
    ("yunet_n_640_640.onnx", "yunet", 5e-4),
    ("yunet_s_640_640.onnx", "yunet", 5e-4),
    ("scrfd_2.5g_bnkps.onnx", "scrfd", 5e-4),
]


def crop_input(name, picture):
    """One aligned 112x112 RGB crop as the model's input tensor."""
    import numpy as np
    side, lo, hi = 112, 0, 0
    if "0095" in name:
        side = 128
    elif "0009" in name:
        side = 48
    elif "eye" in name:
        side, lo, hi = 32, 20, 60
    if hi:  # the right eye of the template lies near (38, 52)
        picture = picture.crop((lo, 34, hi, 74))
    if picture.size != (side, side):
        picture = picture.resize((side, side), 2)
    x = np.asarray(picture, np.float32)
    if "mobilefacenet" in name:
        x = (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    else:
        x = x[:, :, ::-1]
    if hi:
        x = (x - 127) / 255
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None], np.float32)


def photo_input(name, kind, picture):
    """A photograph shrunk to fit, padded with black to the network's size."""
    import numpy as np
    width, height = (640, 640)
    if "dynamic" in name:
        picture.thumbnail((1280, 1280))
        width, height = (-(-s // 32) * 32 for s in picture.size)
    else:
        picture.thumbnail((640, 640))
    x = np.zeros((height, width, 3), np.float32)
    x[:picture.height, :picture.width] = np.asarray(picture, np.float32)
    x = (x - 127.5) / 128 if kind == "scrfd" else x[:, :, ::-1]
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None], np.float32)


def make_inputs(shared, name, kind, count):
    from PIL import Image
    if kind in ("embed", "points"):
        files = sorted(glob.glob(os.path.join(shared, "eval", "lfw-dev-aligned", "images", "**", "*.jpg"), recursive=True))
        step = max(1, len(files) // count)
        return [crop_input(name, Image.open(f).convert("RGB")) for f in files[::step][:count]]
    files = sorted(glob.glob(os.path.join(shared, "photos", "group", "*.jpg")))
    return [photo_input(name, kind, Image.open(f).convert("RGB")) for f in files[:count]]


def reference(path):
    """(name of the runtime, function from one input to its list of outputs)"""
    if path.endswith(".xml"):
        import openvino as ov
        core = ov.Core()
        net = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return "OpenVINO " + ov.__version__.split("-")[0], lambda x: [net(x)[o].copy() for o in net.outputs]
    import onnxruntime as ort
    ort.set_default_logger_severity(3)
    net = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return "ONNX Runtime " + ort.__version__, lambda x: net.run(None, {net.get_inputs()[0].name: x})


def decode(kind, outs, height, width):
    """Per candidate [score, x0, y0, x1, y1, ten landmark coordinates] in px, no suppression. Outputs in the files' order:
    YuNet cls, obj, bbox, kps of strides 8, 16, 32 (Wu et al. 2023); SCRFD score, bbox, kps likewise, two anchors
    a place (Guo et al. 2021)."""
    import numpy as np
    rows = []
    for i, s in enumerate(STRIDES):
        gy, gx = np.mgrid[0:height // s, 0:width // s]
        cell = np.stack([gx.ravel(), gy.ravel()], 1).astype(np.float64)
        if kind == "yunet":
            cls, obj, box, kps = (outs[k * 3 + i].reshape(len(cell), -1).astype(np.float64) for k in range(4))
            score = np.sqrt(np.clip(cls, 0, 1) * np.clip(obj, 0, 1))
            centre, half = (cell + box[:, :2]) * s, np.exp(box[:, 2:]) * s / 2
            corners = np.concatenate([centre - half, centre + half], 1)
            points = (np.tile(cell, 5) + kps) * s
        else:
            cell = np.repeat(cell, 2, 0)
            score, box, kps = (outs[k * 3 + i].reshape(len(cell), -1).astype(np.float64) for k in range(3))
            corners = np.concatenate([cell - box[:, :2], cell + box[:, 2:]], 1) * s
            points = (np.tile(cell, 5) + kps) * s
        rows.append(np.concatenate([score.reshape(-1, 1), corners, points], 1))
    return np.concatenate(rows)


def compare(kind, xs, refs, run, bound):
    """One result row: worst figures over the inputs, and whether they keep the bounds."""
    import numpy as np
    worst = {"cosine": 1.0, "abs": 0.0, "score": 0.0, "box": 0.0, "points": 0.0, "faces": 0}
    for x, ref in zip(xs, refs):
        got = run(x)
        if [g.size for g in got] != [r.size for r in ref]:
            raise SystemExit("outputs differ in number or size")
        for g, r in zip(got, ref):
            g, r = g.ravel().astype(np.float64), r.ravel().astype(np.float64)
            norms = np.linalg.norm(g) * np.linalg.norm(r)
            if kind in ("embed", "points"):
                worst["cosine"] = min(worst["cosine"], float(g @ r / norms))
            if kind == "embed":
                g, r = g / np.linalg.norm(g), r / np.linalg.norm(r)
            worst["abs"] = max(worst["abs"], float(np.abs(g - r).max()))
        if kind in ("yunet", "scrfd"):
            a, b = decode(kind, got, *x.shape[2:]), decode(kind, ref, *x.shape[2:])
            keep = (a[:, 0] >= 0.3) | (b[:, 0] >= 0.3)
            worst["faces"] += int(keep.sum())
            worst["score"] = max(worst["score"], float(np.abs(a[:, 0] - b[:, 0]).max()))
            if keep.any():
                d = np.abs(a[keep] - b[keep])
                worst["box"] = max(worst["box"], float(d[:, 1:5].max()))
                worst["points"] = max(worst["points"], float(d[:, 5:].max()))
    if kind in ("embed", "points"):
        ok = worst["cosine"] > 0.99999 and worst["abs"] <= bound
        text = f"1 - cosine {1 - worst['cosine']:.1e}, absolute {worst['abs']:.1e}"
    else:
        ok = worst["box"] <= 0.5 and worst["points"] <= 0.5 and worst["score"] <= 1e-3 and worst["faces"] > 0
        ok = ok and worst["abs"] <= bound
        text = (f"boxes {worst['box']:.1e} px, landmarks {worst['points']:.1e} px, scores {worst['score']:.1e} "
                f"over {worst['faces']} candidates; raw {worst['abs']:.1e}")
    return worst, ok, text


def child(out):
    """Compare at the level that MIEN_CPU names, with the references that the parent has computed."""
    import numpy as np
    import mienlib
    level, rows = mienlib.lib().mien_cpu_level().decode(), []
    for path in sorted(glob.glob(os.path.join(WORK, "ref-*.npz"))):
        data = np.load(path)
        info = json.loads(str(data["info"]))
        count = info["n"] if level != "scalar" else min(info["n"], info["n_scalar"])
        xs = [data[f"x{i}"] for i in range(count)]
        refs = [[data[f"r{i}_{k}"] for k in range(info["outputs"])] for i in range(count)]
        session = mienlib.Session(info["path"], xs[0].shape)
        worst, ok, text = compare(info["kind"], xs, refs, session, info["bound"])
        session.close()
        rows.append({"model": os.path.basename(info["path"]), "reference": info["reference"], "level": level, "n": count,
                     "figures": worst, "bound_abs": info["bound"], "ok": bool(ok), "worst": text})
    with open(out, "w", encoding="ascii") as f:
        json.dump(rows, f)


def prepare(shared, n_crops, n_photos, n_scalar):
    """Write inputs and reference outputs; names of what was skipped."""
    import numpy as np
    os.makedirs(WORK, exist_ok=True)
    for old in glob.glob(os.path.join(WORK, "ref-*.npz")):
        os.remove(old)
    for name, kind, bound in MODELS:
        path = os.path.join(shared, "models", name)
        small = kind in ("embed", "points")
        try:
            runtime, run = reference(path)
        except Exception as e:  # a reference that is not installed, a model that is not here
            print(f"skipped: {name}: {str(e).splitlines()[0][:100]}")
            continue
        xs = make_inputs(shared, name, kind, n_crops if small else n_photos)
        arrays, outs = {}, []
        for i, x in enumerate(xs):
            outs = run(x)
            arrays[f"x{i}"] = x
            arrays.update({f"r{i}_{k}": o for k, o in enumerate(outs)})
        info = {"path": path, "kind": kind, "bound": bound, "reference": runtime, "n": len(xs), "outputs": len(outs),
                "n_scalar": n_scalar[0] if small else n_scalar[1]}
        np.savez(os.path.join(WORK, "ref-" + os.path.basename(name) + ".npz"), info=json.dumps(info), **arrays)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--all", action="store_true")
    ap.add_argument("--levels", default="scalar,sse2,avx2,avx512")
    ap.add_argument("--child", help=argparse.SUPPRESS)
    args = ap.parse_args()
    if args.all or venv_run.ready():
        venv_run.enter(sys.argv)
    if args.child:
        return child(args.child)
    try:
        import numpy  # noqa: F401
        import onnxruntime  # noqa: F401
        import PIL  # noqa: F401
    except ImportError as e:
        print(f"skipped: {e}; `make parity` sets the packages up")
        return 77
    import mienlib
    import nets
    shared = nets.shared_dir()
    if not shared or not os.path.isdir(os.path.join(shared, "eval")) or not mienlib.find_library():
        print("skipped: needs ../shared and build/release/libmien.so")
        return 77
    prepare(shared, *((200, 12, (50, 2)) if args.all else (12, 2, (2, 1))))
    rows, seen = [], set()
    for level in args.levels.split(","):
        out = os.path.join(WORK, f"level-{level}.json")
        done = subprocess.run([sys.executable, os.path.abspath(__file__), "--child", out], env=dict(os.environ, MIEN_CPU=level))
        if done.returncode:
            print(f"failed: the run at level {level} ended with {done.returncode}")
            return 1
        with open(out, encoding="ascii") as f:
            got = json.load(f)
        if got and got[0]["level"] in seen:
            continue  # the CPU has not got this level
        seen.update(r["level"] for r in got)
        for r in got:
            print(f"{'ok  ' if r['ok'] else 'FAIL'} {r['model']:38s} {r['level']:7s} n={r['n']:<4d} {r['worst']}", flush=True)
        rows += got
    if args.all:
        with open(os.path.join(ROOT, "build", "parity.json"), "w", encoding="ascii") as f:
            json.dump({"rows": rows}, f, indent=1, sort_keys=True)
            f.write("\n")
    return 0 if rows and all(r["ok"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
