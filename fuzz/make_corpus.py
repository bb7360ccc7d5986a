#!/usr/bin/env python3
"""Write the seed files of fuzz_onnx, fuzz_ir, fuzz_mien, fuzz_ckpt and fuzz_search: small networks of our own with random weights.

usage: make_corpus.py [LIBMIEN.so]    (the library, for the .mien files)
"""
import ctypes as ct
import hashlib
import os
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
rng = np.random.default_rng(1)


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def model(name, nodes, consts, shape=(1, 2, 6, 6), opset=13, out="y"):
    init = [numpy_helper.from_array(np.array(v, order="C"), k) for k, v in consts.items()]
    graph = helper.make_graph(
        [helper.make_node(op, i, o, name=f"{op}{k}", **a) for k, (op, i, o, a) in enumerate(nodes)], name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)], init)
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="")
    m.ir_version = 7
    with open(os.path.join(HERE, "onnx", name + ".onnx"), "wb") as f:
        f.write(m.SerializeToString())


def i64(*v):
    return np.array(v, np.int64)


def write_onnx():
    w = dict(w=f32(3, 2, 3, 3), b=f32(3), s=f32(3), t=f32(3), m=f32(3), v=np.abs(f32(3)) + 1, p=f32(3, 1, 1))
    model("conv_bn_prelu", [("Conv", ["x", "w", "b"], ["c"], dict(pads=[1, 1, 1, 1], strides=[2, 2])),
                            ("BatchNormalization", ["c", "s", "t", "m", "v"], ["n"], {}),
                            ("PRelu", ["n", "p"], ["y"], {})], w)
    model("dense_old", [("MaxPool", ["x"], ["q"], dict(kernel_shape=[2, 2], strides=[2, 2])),
                        ("Flatten", ["q"], ["f"], {}), ("Gemm", ["f", "g", "h"], ["z"], dict(alpha=0.5)),
                        ("Dropout", ["z"], ["d"], {}), ("Softmax", ["d"], ["y"], {})],
          dict(g=f32(18, 4), h=f32(4)), opset=9)
    model("dynamic_shape", [("Shape", ["x"], ["s"], {}), ("Gather", ["s", "i"], ["h"], dict(axis=0)),
                            ("Unsqueeze", ["h", "a"], ["u"], {}), ("Concat", ["u", "k"], ["r"], dict(axis=0)),
                            ("Transpose", ["x"], ["t"], dict(perm=[0, 2, 3, 1])), ("Reshape", ["t", "r"], ["y"], {})],
          dict(i=np.array(0, np.int64), a=i64(0), k=i64(-1, 2)), shape=("n", 2, None, "w"))
    model("resize_slice", [("Resize", ["x", "", "k"], ["r"], dict(mode="nearest", nearest_mode="floor",
                                                                 coordinate_transformation_mode="asymmetric")),
                           ("Slice", ["r", "b", "e", "a", "t"], ["q"], {}), ("Split", ["q"], ["o", "p"], dict(axis=1)),
                           ("Concat", ["p", "o"], ["c"], dict(axis=1)), ("Pad", ["c", "d"], ["y"], {})],
          dict(k=np.array([1, 1, 2, 2], np.float32), b=i64(0, 1), e=i64(9, 99), a=i64(2, -1), t=i64(1, 2),
               d=i64(0, 0, 1, 1, 0, 0, 1, 1)))
    model("attention", [("Reshape", ["x", "s"], ["q"], {}), ("Transpose", ["q"], ["k"], dict(perm=[0, 2, 1])),
                        ("MatMul", ["q", "k"], ["a"], {}), ("Softmax", ["a"], ["z"], dict(axis=-1)),
                        ("MatMul", ["z", "q"], ["v"], {}), ("LayerNormalization", ["v", "g", "h"], ["n"], dict(axis=-1)),
                        ("Erf", ["n"], ["e"], {}), ("ReduceMean", ["e"], ["y"], dict(axes=[1], keepdims=0))],
          dict(s=i64(1, 2, 36), g=f32(36), h=f32(36)), opset=17)
    model("folds", [("Cast", ["k"], ["f"], dict(to=1)), ("Equal", ["k", "k"], ["e"], {}),
                    ("Where", ["e", "f", "f"], ["w"], {}), ("Mul", ["x", "w"], ["m"], {}),
                    ("Clip", ["m", "lo", "hi"], ["c"], {}), ("Sum", ["c", "x", "m"], ["y"], {})],
          dict(k=i64(3), lo=np.array(-1, np.float16).astype(np.float32), hi=np.array(1, np.float32)))
    model("halves", [("Add", ["x", "h"], ["a"], {}), ("Mul", ["a", "d"], ["y"], {})],
          dict(h=f32(1, 2, 1, 1).astype(np.float16), d=f32(1).astype(np.float64)))


def layer(i, name, kind, data="", ports=(), version="opset1"):
    out = "".join(f'<port id="{p}" precision="FP32"/>' for p in ports)
    return f'<layer id="{i}" name="{name}" type="{kind}" version="{version}">{data}<output>{out}</output></layer>'


def edge(a, ap, b, bp):
    return f'<edge from-layer="{a}" from-port="{ap}" to-layer="{b}" to-port="{bp}"/>'


def write_ir(name, layers, edges, weights):
    xml = '<?xml version="1.0"?><net name="n" version="11"><layers>' + "".join(layers) + "</layers><edges>" + \
        "".join(edges) + "</edges></net>"
    with open(os.path.join(HERE, "ir", name + ".ir"), "wb") as f:
        f.write(xml.encode() + b"\0" + weights)


def write_irs():
    inp = layer(0, "in", "Parameter", '<data shape="1,2,6,6" element_type="f32"/>', [0])
    w = f32(4, 2, 3, 3).astype(np.float16).tobytes()
    write_ir("conv", [inp, layer(1, "w", "Const", f'<data element_type="f16" shape="4,2,3,3" offset="0" size="{len(w)}"/>', [0]),
                      layer(2, "c", "Convert", '<data destination_type="f32"/>', [1]),
                      layer(3, "conv", "Convolution", '<data strides="1,1" pads_begin="1,1" pads_end="1,1" '
                            'dilations="1,1" auto_pad="same_upper"/>', [2]),
                      layer(4, "r", "HSwish", "", [1]), layer(5, "out", "Result")],
             [edge(0, 0, 3, 0), edge(1, 0, 2, 0), edge(2, 1, 3, 1), edge(3, 2, 4, 0), edge(4, 1, 5, 0)], w)
    g = f32(2, 1, 1, 3, 3).tobytes()
    k = i64(-1).tobytes() + i64(0, 0, 0, 0).tobytes() + i64(1, 2, 4, 4).tobytes()
    write_ir("group_slice", [inp, layer(1, "w", "Const", f'<data element_type="f32" shape="2,1,1,3,3" offset="0" size="{len(g)}"/>', [0]),
                             layer(2, "dw", "GroupConvolution", '<data strides="2,2" pads_begin="1,1" pads_end="1,1" dilations="1,1"/>', [2]),
                             layer(3, "b", "Const", f'<data element_type="i64" shape="4" offset="{len(g) + 8}" size="32"/>', [0]),
                             layer(4, "e", "Const", f'<data element_type="i64" shape="4" offset="{len(g) + 40}" size="32"/>', [0]),
                             layer(5, "s", "StridedSlice", '<data begin_mask="1,0,0,0" end_mask="1,0,0,0" '
                                   'shrink_axis_mask="0,0,0,0" new_axis_mask="" ellipsis_mask=""/>', [3]),
                             layer(6, "p", "AvgPool", '<data kernel="2,2" strides="1,1" pads_begin="0,0" pads_end="0,0" '
                                   'exclude-pad="true" rounding_type="ceil"/>', [1]), layer(7, "out", "Result")],
             [edge(0, 0, 2, 0), edge(1, 0, 2, 1), edge(2, 2, 5, 0), edge(3, 0, 5, 1), edge(4, 0, 5, 2),
              edge(5, 3, 6, 0), edge(6, 1, 7, 0)], g + k)


def write_ckpt(name, items):
    """A checkpoint, laid out as src/train/checkpoint.h says."""
    size = 24 + sum(136 + len(data) for _, data in items) + 32
    body = b"MIENCKPT" + struct.pack("<IIQ", 1, len(items), size)
    body += b"".join(struct.pack("<128sQ", key, len(data)) for key, data in items)
    body += b"".join(data for _, data in items)
    with open(os.path.join(HERE, "ckpt", name), "wb") as f:
        f.write(body + hashlib.sha256(body).digest())


def write_ckpts():
    steps, weights = struct.pack("<Q", 7), struct.pack("<5f", 1, -2, 0.5, 0, 3)
    write_ckpt("whole", [(b"steps", steps), (b"empty", b""), (b"w", weights)])
    write_ckpt("longer", [(b"steps", steps), (b"empty", b""), (b"w", weights + weights)])
    write_ckpt("other", [(b"steps", steps), (b"m", weights), (b"w", weights)])
    write_ckpt("none", [])


def write_search(name, items, coded=False, used=None, version=1):
    """An index of four dimensions, as fuzz_search.c takes it: header, table, then 32 bytes a template."""
    blocks, dim, gallery = 1, 4, bytes(16)
    plain, signs = 4096 * 16 + 4096 * 24, 4096 * 8
    size = 8192 + blocks * (plain + (signs if coded else 0))
    n = len(items) if used is None else used
    mac = hashlib.blake2b(b"mien index mac" + gallery, key=bytes(32), digest_size=32).digest()
    head = b"mienidx\n" + struct.pack("<6IQQQ", version, 2 if coded else 0, dim, 4096, blocks, 0, size, n, 9)
    head += bytes(32) + gallery + hashlib.blake2b(b"which key\0", key=mac, digest_size=16).digest()
    table = struct.pack("<IIQ", n, n, 1) + bytes(48)
    head += hashlib.blake2b(head + table, digest_size=32).digest()
    with open(os.path.join(HERE, "search", name), "wb") as f:
        f.write(head.ljust(160, b"\0") + table)
        for k, (scale, error, code) in enumerate(items):
            f.write(struct.pack("<QQff", k, k // 2, scale, error) + bytes(c + 128 for c in code) + bytes(4))


def write_searches():
    one = (0.004, 0.001, (127, 127, -127, 127))
    write_search("three", [one, (0.006, 0.002, (127, -60, 60, 1)), (0.008, 0.0, (0, 0, 127, 0))])
    write_search("coded", [one] * 20, coded=True)
    write_search("bad_numbers", [(float("nan"), 0.1, (1, 2, 3, 4)), (float("inf"), 2.0, (1, 2, 3, 4)), one])
    write_search("too_many", [one], used=5000)
    write_search("future", [one], version=2)
    write_search("none", [])


def write_scene_tables():
    numbers = "10.5,20,110,140,0.9,40,60,80,60,60,80,45,110,75,110"
    tables = {
        "rows": f"path,face,x0\na.jpg,1,{numbers}\na.jpg,2,{numbers}\r\nb/c.png,1,{numbers}\n",
        "quoted": f'"a ""b"", c.jpg",1,{numbers}\n',
        "uncertain": "d.jpg,1,1e1,2,30,40,4.9e-1,1,2,3,4,5,6,7,8,9,10\n",
        "flat": "d.jpg,1,10,2,10,40,0.9,1,2,3,4,5,6,7,8,9,10\n",
    }
    for name, text in tables.items():
        with open(os.path.join(HERE, "scene", name), "w", newline="") as f:
            f.write(text)


def main():
    for d in ("onnx", "ir", "mien", "ckpt", "scene", "search"):
        os.makedirs(os.path.join(HERE, d), exist_ok=True)
    write_scene_tables()
    write_searches()
    write_onnx()
    write_irs()
    write_ckpts()
    if len(sys.argv) > 1:
        lib = ct.CDLL(os.path.abspath(sys.argv[1]))
        for name in ("conv_bn_prelu", "dense_old", "resize_slice"):
            model_ptr = ct.c_void_p()
            src = os.path.join(HERE, "onnx", name + ".onnx").encode()
            dst = os.path.join(HERE, "mien", name + ".mien").encode()
            if lib.mien_model_import(src, None, ct.byref(model_ptr), None) or \
                    lib.mien_model_save(model_ptr, dst, None):
                sys.exit("cannot make " + dst.decode())


if __name__ == "__main__":
    main()
