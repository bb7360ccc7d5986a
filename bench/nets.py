"""The networks the harness measures: where their files come from, and their conversion for each peer.

IResNet-50 and -100 (Deng et al. 2019, ArcFace; block BN-conv-BN-PReLU-conv-BN + shortcut) carry random weights
from a fixed seed: speed does not depend on their values. They are written as exporters write them, with the
batch normalisations that follow a convolution folded into it. The others are the files of ../shared/models;
a network whose file is absent is skipped.
"""

import os
import shutil
import subprocess
from collections import namedtuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# name in tables, ONNX source (None: generated), input shape, range of the random input, bar against ONNX Runtime
Net = namedtuple("Net", "name source shape scale bar_ort")

NETS = [
    Net("IResNet-50", None, (1, 3, 112, 112), 1.0, 0.50),
    Net("MobileFaceNet", "mobilefacenet_foamliu.onnx", (1, 3, 112, 112), 1.0, 0.48),
    Net("YuNet 640x480", "yunet_n_dynamic.onnx", (1, 3, 480, 640), 255.0, 0.95),
    Net("SCRFD-2.5G 640x640", "scrfd_2.5g_bnkps.onnx", (1, 3, 640, 640), 1.0, 0.85),
]
OPTIONAL_NETS = [Net("IResNet-100", None, (1, 3, 112, 112), 1.0, None)]


def shared_dir():
    """Folder with models/, photos/ and eval/, or None."""
    for path in (os.environ.get("MIEN_SHARED"), os.path.join(ROOT, "..", "shared"),
                 os.path.join(ROOT, "..", "..", "shared")):
        if path and os.path.isdir(os.path.join(path, "models")):
            return os.path.abspath(path)
    return None


def slug(net):
    return net.name.lower().replace(" ", "-")


def random_input(net):
    rng = np.random.default_rng(20)
    if net.scale > 1:
        return (rng.random(net.shape) * net.scale).astype(np.float32)
    return rng.uniform(-1, 1, net.shape).astype(np.float32)


class _Builder:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.consts, self.n = [], [], 0

    def const(self, array):
        name = f"w{len(self.consts)}"
        self.consts.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def node(self, op, inputs, **attrs):
        self.n += 1
        out = f"t{self.n}"
        self.nodes.append(helper.make_node(op, inputs, [out], name=f"{op.lower()}_{self.n}", **attrs))
        return out

    def conv(self, x, ic, oc, k, stride, gain=1.0):
        w = self.rng.standard_normal((oc, ic, k, k)) * gain * np.sqrt(2.0 / (ic * k * k))
        b = self.rng.standard_normal(oc) * 0.1
        return self.node("Conv", [x, self.const(w), self.const(b)], kernel_shape=[k, k], strides=[stride] * 2,
                         pads=[k // 2] * 4, dilations=[1, 1], group=1)

    def batch_norm(self, x, c):
        r = self.rng
        args = [r.uniform(0.8, 1.2, c), r.standard_normal(c) * 0.1, r.standard_normal(c) * 0.1, r.uniform(0.8, 1.2, c)]
        return self.node("BatchNormalization", [x] + [self.const(a) for a in args], epsilon=1e-5)

    def prelu(self, x, c):
        return self.node("PRelu", [x, self.const(self.rng.uniform(0.1, 0.4, (c, 1, 1)))])


def iresnet(depth):
    """IResNet-50 or -100 for 112x112 RGB, 512 floats out."""
    blocks = {50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}[depth]
    b = _Builder(depth)
    x = b.prelu(b.conv("input", 3, 64, 3, 1), 64)
    ic = 64
    for oc, count in zip((64, 128, 256, 512), blocks):
        for i in range(count):
            stride = 2 if i == 0 else 1
            short = b.conv(x, ic, oc, 1, stride) if i == 0 else x
            y = b.prelu(b.conv(b.batch_norm(x, ic), ic, oc, 3, 1), oc)
            y = b.conv(y, oc, oc, 3, stride, gain=0.3)  # keeps the residual sums finite through the depth
            x = b.node("Add", [y, short])
            ic = oc
    x = b.node("Flatten", [b.batch_norm(x, 512)], axis=1)
    w = b.const(b.rng.standard_normal((512, 512 * 7 * 7)) / 158)
    x = b.node("Gemm", [x, w, b.const(np.zeros(512))], alpha=1.0, beta=1.0, transB=1)
    x = b.batch_norm(x, 512)
    b.nodes[-1].output[0] = "embedding"
    graph = helper.make_graph(
        b.nodes, f"iresnet{depth}",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 512])], b.consts)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6,
                              producer_name="bench/nets.py")
    onnx.checker.check_model(model)
    return model


def original(net, out_dir):
    """Path of the network as mien is given it, or None when its file is absent."""
    if net.source:
        shared = shared_dir()
        path = shared and os.path.join(shared, "models", net.source)
        return path if path and os.path.exists(path) else None
    path = os.path.join(out_dir, slug(net) + ".onnx")
    if not os.path.exists(path):
        onnx.save(iresnet(int(net.name.split("-")[1])), path)
    return path


def static_onnx(net, out_dir):
    """The same network with its input shape fixed and its constants folded (by ONNX Runtime's basic, standard-operator
    optimisations), so that no peer pays for arithmetic on shapes."""
    import onnxruntime as ort
    src = original(net, out_dir)
    dst = os.path.join(out_dir, slug(net) + ".static.onnx")
    if not os.path.exists(dst):
        model = onnx.load(src)
        names = {t.name for t in model.graph.initializer}
        inputs = [onnx.ValueInfoProto.FromString(i.SerializeToString())
                  for i in model.graph.input if i.name not in names]  # copies: deleting ends the originals
        for dim, size in zip(inputs[0].type.tensor_type.shape.dim, net.shape):
            dim.ClearField("dim_param")
            dim.dim_value = size
        del model.graph.input[:]
        model.graph.input.extend(inputs)
        for out in model.graph.output:  # stale symbolic or empty dims would contradict what is inferred
            out.type.tensor_type.ClearField("shape")
        del model.graph.value_info[:]
        opts = ort.SessionOptions()
        opts.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        opts.optimized_model_filepath = dst
        ort.InferenceSession(model.SerializeToString(), opts, providers=["CPUExecutionProvider"])
        model = onnx.load(dst)
        onnx.save(shape_inference.infer_shapes(model, data_prop=True), dst)
    return dst


def ncnn_files(net, out_dir):
    """Convert with the pnnx tool; (param, bin) paths. Raises when the tool is absent or fails."""
    out_dir = os.path.abspath(out_dir)
    base = os.path.join(out_dir, slug(net).replace(".", "_").replace("-", "_"))
    param, weights = base + ".ncnn.param", base + ".ncnn.bin"
    if not (os.path.exists(param) and os.path.exists(weights)):
        import importlib.util
        spec = importlib.util.find_spec("pnnx")
        if spec is None:
            raise RuntimeError("pnnx is not installed")
        tool = os.path.join(list(spec.submodule_search_locations)[0], "pnnx")
        shutil.copy(static_onnx(net, out_dir), base + ".onnx")
        shape = "[" + ",".join(map(str, net.shape)) + "]"
        done = subprocess.run([tool, base + ".onnx", "inputshape=" + shape, "fp16=0"], cwd=out_dir,
                              capture_output=True, text=True)
        if done.returncode != 0 or not os.path.exists(param):
            raise RuntimeError("pnnx failed: " + done.stderr[-200:])
    return param, weights


def ncnn_blobs(param):
    """Input and output blob names of an ncnn .param file: what no layer makes, what no layer takes."""
    made, taken, inputs = [], set(), []
    with open(param, encoding="ascii") as f:
        for line in f.read().splitlines()[2:]:
            words = line.split()
            if len(words) < 4:
                continue
            n_in, n_out = int(words[2]), int(words[3])
            taken.update(words[4:4 + n_in])
            outs = words[4 + n_in:4 + n_in + n_out]
            made += outs
            if words[0] == "Input":
                inputs += outs
    return inputs, [m for m in made if m not in taken]


def conv_list(net, out_dir):
    """The convolutions (and Gemm) of a network as text for onednn.c: one line each,
    `ic ih iw oc oh ow kh kw sh sw pt pl pb pr groups act residual`; act 0 none, 1 ReLU, 2 clip, 3 leaky (PReLU)."""
    model = onnx.load(static_onnx(net, out_dir))
    graph = model.graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
              for v in list(graph.value_info) + list(graph.input) + list(graph.output)}
    consts = {t.name: list(t.dims) for t in graph.initializer}
    consts.update({n.output[0]: list(n.attribute[0].t.dims) for n in graph.node if n.op_type == "Constant"})
    users, made_by = {}, {}
    for index, n in enumerate(graph.node):
        made_by[n.output[0]] = index
        for i in n.input:
            users.setdefault(i, []).append(n)
    acts = {"Relu": 1, "Clip": 2, "PRelu": 3, "LeakyRelu": 3}
    rows = []
    for n in graph.node:
        if n.op_type not in ("Conv", "Gemm"):
            continue
        w = consts[n.input[1]]
        if n.op_type == "Gemm":
            rows.append([w[1], 1, 1, w[0], 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0])
            continue
        at = {a.name: helper.get_attribute_value(a) for a in n.attribute}
        x, y = shapes[n.input[0]], shapes[n.output[0]]
        next_ = users.get(n.output[0], [])
        act = residual = 0
        if len(next_) == 1:
            if next_[0].op_type in acts:
                act = acts[next_[0].op_type]
            elif next_[0].op_type == "Add" and all(i not in consts for i in next_[0].input):
                residual = int(n.output[0] == max(next_[0].input, key=lambda i: made_by.get(i, -1)))
                after = users.get(next_[0].output[0], [])
                if residual and len(after) == 1 and after[0].op_type in acts:
                    act = acts[after[0].op_type]
        pads = at.get("pads", [0, 0, 0, 0])
        st = at.get("strides", [1, 1])
        rows.append([x[1], x[2], x[3], y[1], y[2], y[3], w[2], w[3], st[0], st[1], pads[0], pads[1], pads[2], pads[3],
                     at.get("group", 1), act, residual])
    path = os.path.join(out_dir, slug(net) + ".convs")
    with open(path, "w", encoding="ascii") as f:
        for r in rows:
            f.write(" ".join(map(str, r)) + "\n")
    return path


def mmacs(net, out_dir):
    """Millions of multiply-adds of the convolutions and Gemm, counted directly."""
    total = 0
    with open(conv_list(net, out_dir), encoding="ascii") as f:
        for line in f:
            ic, _, _, oc, oh, ow, kh, kw, *_, groups, _, _ = map(int, line.split())
            total += oc * oh * ow * kh * kw * ic // groups
    return total / 1e6


def mienlib_missing():
    import mienlib
    return mienlib.find_library() is None
