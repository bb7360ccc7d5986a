"""libmien through ctypes: models and sessions on float tensors (include/mien/session.h)."""

import ctypes as C
import os

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAX_RANK = 8


class Error(C.Structure):
    _fields_ = [("status", C.c_int), ("line", C.c_int), ("file", C.c_char_p), ("message", C.c_char * 256)]


class TensorView(C.Structure):
    _fields_ = [("name", C.c_char_p), ("data", C.POINTER(C.c_float)), ("rank", C.c_int),
                ("dims", C.c_int64 * MAX_RANK)]


class SessionOpts(C.Structure):
    _fields_ = [("struct_size", C.c_size_t), ("threads", C.c_uint)]


class LayerInfo(C.Structure):
    _fields_ = [("name", C.c_char_p), ("op", C.c_char_p), ("kernel", C.c_char_p), ("ms", C.c_double),
                ("mmac", C.c_double)]


class MienError(RuntimeError):
    pass


def find_library():
    path = os.environ.get("MIEN_LIB")
    if path:
        return path
    for folder in ("build/release", "build/release/lib", "build"):
        path = os.path.join(ROOT, folder, "libmien.so")
        if os.path.exists(path):
            return path
    return None


_lib = None


def lib():
    global _lib
    if _lib is None:
        path = find_library()
        if not path:
            raise MienError("libmien.so not found: build the release preset, or set MIEN_LIB")
        _lib = C.CDLL(path)
        for name in ("mien_version", "mien_cpu_level"):
            getattr(_lib, name).restype = C.c_char_p
        for name in ("mien_session_n_inputs", "mien_session_n_outputs", "mien_session_arena_bytes",
                     "mien_session_weight_bytes"):
            getattr(_lib, name).restype = C.c_size_t
        for name in ("mien_session_free", "mien_model_free"):
            getattr(_lib, name).restype = None
    return _lib


def _check(status, err):
    if status != 0:
        raise MienError(f"status {status}: {err.message.decode(errors='replace')}")


class Session:
    """One model and one session on it, planned for one input shape."""

    def __init__(self, path, shape, threads=1):
        self.err, self.model, self.session = Error(), C.c_void_p(), C.c_void_p()
        _check(lib().mien_model_load(os.fsencode(path), C.byref(self.model), C.byref(self.err)), self.err)
        opts = SessionOpts(C.sizeof(SessionOpts), threads)
        _check(lib().mien_session_new(self.model, C.byref(opts), C.byref(self.session), C.byref(self.err)), self.err)
        self.prepare(shape)

    def prepare(self, shape):
        view = TensorView(rank=len(shape))
        for i, d in enumerate(shape):
            view.dims[i] = d
        buffer = C.POINTER(C.c_float)()
        _check(lib().mien_session_prepare(self.session, C.c_size_t(1), C.byref(view), C.byref(buffer),
                                          C.byref(self.err)), self.err)
        self.input = np.ctypeslib.as_array(buffer, shape=tuple(shape))

    def run(self):
        _check(lib().mien_session_run(self.session, C.byref(self.err)), self.err)

    def outputs(self):
        """Copies of the last run's outputs: [(name, array)]."""
        result = []
        for i in range(lib().mien_session_n_outputs(self.session)):
            view = TensorView()
            _check(lib().mien_session_output(self.session, C.c_size_t(i), C.byref(view), C.byref(self.err)), self.err)
            shape = tuple(view.dims[k] for k in range(view.rank))
            result.append(((view.name or b"").decode(), np.ctypeslib.as_array(view.data, shape=shape).copy()))
        return result

    def __call__(self, x):
        """Run on one array, planning anew when its shape differs; list of output arrays."""
        if x.shape != self.input.shape:
            self.prepare(x.shape)
        self.input[...] = x
        self.run()
        return [a for _, a in self.outputs()]

    def layers(self, runs=20):
        _check(lib().mien_session_profile(self.session, C.c_int(runs), C.byref(self.err)), self.err)
        rows, info = [], LayerInfo()
        while lib().mien_session_layer(self.session, C.c_size_t(len(rows)), C.byref(info), C.byref(self.err)) == 0:
            rows.append({"name": info.name.decode(), "op": info.op.decode(), "kernel": info.kernel.decode(),
                         "ms": info.ms, "mmac": info.mmac})
        return rows

    def close(self):
        if self.session:
            lib().mien_session_free(self.session)
        if self.model:
            lib().mien_model_free(self.model)
        self.session = self.model = None
        self.input = None

