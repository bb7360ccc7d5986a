#!/usr/bin/env python3
"""Run the networks of make_nets.py through libmien and through ONNX Runtime and compare.

usage: check_nets.py LIBMIEN.so [NAME ...]

States cosine and largest absolute difference per network, relative to the largest output. Exit 0 when all agree
(cosine > 0.99999, difference < 2e-4 of the largest output), 1 when one does not, 77 when the Python peers are
missing.
"""
import ctypes as ct
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx  # noqa: F401
    import onnxruntime as ort
except ImportError as e:
    print("skipped:", e)
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from make_nets import NETS  # noqa: E402


class Error(ct.Structure):
    _fields_ = [("status", ct.c_int), ("line", ct.c_int), ("file", ct.c_char_p), ("message", ct.c_char * 256)]


class View(ct.Structure):
    _fields_ = [("name", ct.c_char_p), ("data", ct.POINTER(ct.c_float)), ("rank", ct.c_int),
                ("dims", ct.c_int64 * 8)]


def run_mien(lib, path, x):
    """Outputs of the model at `path` for one input."""
    err = Error()

    def check(status):
        if status != 0:
            raise RuntimeError(err.message.decode())
    model, session, view = ct.c_void_p(), ct.c_void_p(), View()
    check(lib.mien_model_import(path.encode(), None, ct.byref(model), ct.byref(err)))
    check(lib.mien_session_new(model, None, ct.byref(session), ct.byref(err)))
    view.rank = x.ndim
    for i, d in enumerate(x.shape):
        view.dims[i] = d
    buf = (ct.POINTER(ct.c_float) * 1)()
    check(lib.mien_session_prepare(session, ct.c_size_t(1), ct.byref(view), buf, ct.byref(err)))
    ct.memmove(buf[0], x.ctypes.data, x.nbytes)
    check(lib.mien_session_run(session, ct.byref(err)))
    outs = []
    lib.mien_session_n_outputs.restype = ct.c_size_t
    for i in range(lib.mien_session_n_outputs(session)):
        check(lib.mien_session_output(session, ct.c_size_t(i), ct.byref(view), ct.byref(err)))
        shape = tuple(view.dims[:view.rank])
        outs.append(np.ctypeslib.as_array(view.data, shape=(int(np.prod(shape)),)).copy().reshape(shape))
    lib.mien_session_free(session)
    lib.mien_model_free(model)
    return outs


def check_one(lib, name):
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, name + ".onnx")
        net, out = NETS[name]()
        net.save(out, path)
        del net
        opts = ort.SessionOptions()
        opts.intra_op_num_threads = 1
        opts.log_severity_level = 3
        peer = ort.InferenceSession(path, opts, providers=["CPUExecutionProvider"])
        shape = peer.get_inputs()[0].shape
        x = np.random.default_rng(7).standard_normal(shape, dtype=np.float32)
        want = peer.run(None, {peer.get_inputs()[0].name: x})
        del peer
        got = run_mien(lib, path, x)
    ok = len(want) == len(got)
    for a, b in zip(want, got):
        a64, b64 = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
        cos = float(a64 @ b64 / (np.linalg.norm(a64) * np.linalg.norm(b64)))
        diff, top = float(np.abs(a64 - b64).max()), float(np.abs(a64).max())
        good = a.shape == b.shape and cos > 0.99999 and diff < 2e-4 * top
        ok = ok and good
        print(f"{name:12} cosine {cos:.9f}  max abs {diff:.3g} (largest output {top:.3g})  {'ok' if good else 'FAILED'}")
    return ok


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    names = sys.argv[2:] or list(NETS)
    if len(names) > 1:  # one process each: the large ones want their memory back
        return max(subprocess.call([sys.executable, __file__, sys.argv[1], n]) for n in names)
    try:
        return 0 if check_one(ct.CDLL(sys.argv[1]), names[0]) else 1
    except RuntimeError as e:
        print(f"{names[0]:12} FAILED: {e}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
