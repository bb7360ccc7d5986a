#!/usr/bin/env python3
"""Write networks of known architecture with random weights as ONNX: what mien must be able to run though their
trained weights are not at hand. Weights are scaled so that activations stay near 1.

usage: make_nets.py NAME OUT.onnx      (NAME: see NETS at the end)

ArcFace IResNet: Deng 2019, Duta 2020. Inception-ResNet: Szegedy 2016, as used by FaceNet. EdgeFace: George 2023
over EdgeNeXt (Maaz 2022). MiniFASNet: Silent-Face-Anti-Spoofing.
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    def __init__(self, seed, channels, height, width, opset):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.init, self.n, self.opset = [], [], 0, opset
        self.input = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, channels, height, width])
        self.shape = {"input": channels}

    def name(self, base):
        self.n += 1
        return f"{base}_{self.n}"

    def const(self, array):
        name = self.name("c")
        self.init.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def op(self, op, inputs, n_out=1, **attrs):
        outs = [self.name(op) for _ in range(n_out)]
        self.nodes.append(helper.make_node(op, inputs, outs, name=outs[0] + "_node", **attrs))
        return outs[0] if n_out == 1 else outs

    def normal(self, *shape, std=1.0):
        return (self.rng.standard_normal(shape, dtype=np.float32) * np.float32(std)).astype(np.float32)

    def uniform(self, lo, hi, *shape):
        return self.rng.uniform(lo, hi, shape).astype(np.float32)

    # every helper takes and gives (name, channels)
    def conv(self, x, out, k, stride=1, pad=None, group=1, bias=False, gain=2.0):
        src, ch = x
        kh, kw = (k, k) if isinstance(k, int) else k
        ph, pw = (kh // 2, kw // 2) if pad is None else (pad, pad)
        std = (gain / (ch // group * kh * kw)) ** 0.5
        args = [src, self.const(self.normal(out, ch // group, kh, kw, std=std))]
        if bias:
            args.append(self.const(self.normal(out, std=0.1)))
        y = self.op("Conv", args, kernel_shape=[kh, kw], strides=[stride, stride], pads=[ph, pw, ph, pw],
                    group=group, dilations=[1, 1])
        return y, out

    def bn(self, x, gamma=1.0, eps=1e-5):
        src, ch = x
        return self.op("BatchNormalization", [
            src, self.const(self.uniform(0.8, 1.2, ch) * np.float32(gamma)), self.const(self.normal(ch, std=0.1)),
            self.const(self.normal(ch, std=0.1)), self.const(self.uniform(0.8, 1.2, ch))], epsilon=eps), ch

    def prelu(self, x):
        return self.op("PRelu", [x[0], self.const(self.uniform(0.1, 0.4, x[1], 1, 1))]), x[1]

    def unary(self, op, x, **attrs):
        return self.op(op, [x[0]], **attrs), x[1]

    def add(self, a, b):
        return self.op("Add", [a[0], b[0]]), a[1]

    def scale(self, x, s):
        return self.op("Mul", [x[0], self.const(np.array(s, np.float32))]), x[1]

    def concat(self, xs):
        return self.op("Concat", [x[0] for x in xs], axis=1), sum(x[1] for x in xs)

    def pool(self, x, k, stride, pad=0, op="MaxPool", **attrs):
        return self.op(op, [x[0]], kernel_shape=[k, k], strides=[stride, stride], pads=[pad] * 4, **attrs), x[1]

    def gemm(self, x, out, k, bias=True):
        args = [x, self.const(self.normal(out, k, std=k ** -0.5))]
        if bias or self.opset < 11:  # the third input is optional from opset 11 on
            args.append(self.const(self.normal(out, std=0.1 if bias else 0.0)))
        return self.op("Gemm", args, transB=1)

    def i64(self, *v):
        return self.const(np.array(v, np.int64))

    def save(self, out, path):
        y = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "net", [self.input], [y], self.init)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 8
        onnx.save(model, path)


def iresnet(blocks, seed, opset=11):
    n = Net(seed, 3, 112, 112, opset)
    x = n.prelu(n.bn(n.conv(("input", 3), 64, 3)))
    for stage, count in enumerate(blocks):
        out = 64 << stage
        for i in range(count):
            stride = 2 if i == 0 else 1
            y = n.prelu(n.bn(n.conv(n.bn(x), out, 3)))
            y = n.bn(n.conv(y, out, 3, stride), gamma=0.3)
            short = n.bn(n.conv(x, out, 1, stride, gain=1.0)) if i == 0 else x
            x = n.add(y, short)
    x = n.bn(x)
    flat = n.op("Flatten", [x[0]], axis=1)
    return n, n.bn((n.gemm(flat, 512, 512 * 49), 512))[0]


def facenet(version, seed, opset):
    n = Net(seed, 3, 160, 160, opset)

    def cbr(x, out, k, stride=1, pad=None):
        return n.unary("Relu", n.bn(n.conv(x, out, k, stride, pad), eps=1e-3))

    def chain(x, *steps):
        for s in steps:
            x = cbr(x, *s)
        return x

    def residual(x, branches, s, relu=True):
        y = n.conv(n.concat(branches), x[1], 1, bias=True)
        y = n.add(x, n.scale(y, s))
        return n.unary("Relu", y) if relu else y

    v2 = version == 2
    x = chain(("input", 3), (32, 3, 2, 0), (32, 3, 1, 0), (64, 3))
    x = chain(n.pool(x, 3, 2), (80, 1), (192, 3, 1, 0))
    if v2:
        x = n.pool(x, 3, 2)
        mean = n.pool(x, 3, 1, 1, "AveragePool", count_include_pad=0)
        x = n.concat([cbr(x, 96, 1), chain(x, (48, 1), (64, 5)), chain(x, (64, 1), (96, 3), (96, 3)),
                      cbr(mean, 64, 1)])
    else:
        x = cbr(x, 256, 3, 2, 0)
    w = (48, 64) if v2 else (32, 32)
    for _ in range(10 if v2 else 5):
        x = residual(x, [cbr(x, 32, 1), chain(x, (32, 1), (32, 3)), chain(x, (32, 1), (w[0], 3), (w[1], 3))], 0.17)
    a, b, c = (256, 256, 384) if v2 else (192, 192, 256)
    x = n.concat([cbr(x, 384, 3, 2, 0), chain(x, (a, 1), (b, 3), (c, 3, 2, 0)), n.pool(x, 3, 2)])
    w = (192, 128, 160, 192) if v2 else (128, 128, 128, 128)
    for _ in range(20 if v2 else 10):
        x = residual(x, [cbr(x, w[0], 1), chain(x, (w[1], 1), (w[2], (1, 7)), (w[3], (7, 1)))], 0.10)
    w = (288, 288, 320) if v2 else (256, 256, 256)
    x = n.concat([chain(x, (256, 1), (384, 3, 2, 0)), chain(x, (256, 1), (w[0], 3, 2, 0)),
                  chain(x, (256, 1), (w[1], 3), (w[2], 3, 2, 0)), n.pool(x, 3, 2)])
    w = (192, 192, 224, 256) if v2 else (192, 192, 192, 192)
    count = 9 if v2 else 5
    for i in range(count + 1):
        last = i == count
        x = residual(x, [cbr(x, w[0], 1), chain(x, (w[1], 1), (w[2], (1, 3)), (w[3], (3, 1)))],
                     1.0 if last else 0.20, not last)
    if v2:
        x = cbr(x, 1536, 1)
    mean = n.op("GlobalAveragePool", [x[0]])
    flat = n.op("Dropout", [n.op("Flatten", [mean], axis=1)])
    y = n.bn((n.gemm(flat, 512, x[1], bias=False), 512), eps=1e-3)[0]
    norm = n.op("ReduceL2", [y], axes=[1], keepdims=1)
    norm = n.op("Clip", [norm, n.const(np.array(1e-12, np.float32))]) if opset >= 11 else n.op("Clip", [norm], min=1e-12)
    return n, n.op("Div", [y, norm])


def edgeface(seed):
    n = Net(seed, 3, 112, 112, 17)

    def layer_norm(x, c):
        return n.op("LayerNormalization", [x, n.const(n.uniform(0.8, 1.2, c)), n.const(n.normal(c, std=0.1))],
                    axis=-1, epsilon=1e-6)

    def norm_nchw(x):
        y = n.op("Transpose", [x[0]], perm=[0, 2, 3, 1])
        return n.op("Transpose", [layer_norm(y, x[1])], perm=[0, 3, 1, 2]), x[1]

    def linear(x, k, out):
        y = n.op("MatMul", [x, n.const(n.normal(k, out, std=k ** -0.5))])
        return n.op("Add", [n.const(n.normal(out, std=0.05)), y])

    def low_rank(x, k, out):
        mid = max(2, int(k * 0.6))
        y = n.op("MatMul", [x, n.const(n.normal(k, mid, std=k ** -0.5))])
        return linear(y, mid, out)

    def gelu(x):
        y = n.op("Erf", [n.op("Div", [x, n.const(np.array(2.0 ** 0.5, np.float32))])])
        y = n.op("Add", [y, n.const(np.array(1.0, np.float32))])
        return n.op("Mul", [n.op("Mul", [x, y]), n.const(np.array(0.5, np.float32))])

    def mlp(x, c):
        return low_rank(gelu(low_rank(x, c, 4 * c)), 4 * c, c)

    def gamma(x, c):
        return n.op("Mul", [n.const(n.uniform(0.1, 0.3, c)), x])

    def conv_block(x, k):
        y, c = n.conv(x, x[1], k, group=x[1], bias=True, gain=1.0)
        y = n.op("Transpose", [y], perm=[0, 2, 3, 1])
        y = gamma(mlp(layer_norm(y, c), c), c)
        return n.add(x, (n.op("Transpose", [y], perm=[0, 3, 1, 2]), c))

    def xca(t, c, heads, tokens):
        d = c // heads
        qkv = n.op("Reshape", [low_rank(t, c, 3 * c), n.i64(1, tokens, 3, heads, d)])
        qkv = n.op("Transpose", [qkv], perm=[2, 0, 3, 4, 1])  # 3 1 heads d tokens
        q, k, v = (n.op("Gather", [qkv, n.const(np.array(i, np.int64))], axis=0) for i in range(3))

        def unit(a):
            length = n.op("Clip", [n.op("ReduceL2", [a], axes=[-1], keepdims=1), n.const(np.array(1e-12, np.float32))])
            shape = n.op("Shape", [a])
            return n.op("Div", [a, n.op("Expand", [length, shape])])
        att = n.op("MatMul", [unit(q), n.op("Transpose", [unit(k)], perm=[0, 1, 3, 2])])
        att = n.op("Softmax", [n.op("Mul", [att, n.const(n.uniform(0.8, 1.2, heads, 1, 1))])], axis=-1)
        y = n.op("Transpose", [n.op("MatMul", [att, v])], perm=[0, 3, 1, 2])
        return linear(n.op("Reshape", [y, n.i64(1, tokens, c)]), c, c)

    def sdta_block(x, splits, side, heads=4):
        c, tokens = x[1], side * side
        width = -(-c // splits)
        sizes = [width] * (splits - 1) + [c - width * (splits - 1)]
        parts = n.op("Split", [x[0], n.i64(*sizes)], n_out=splits, axis=1)
        done, prev = [], None
        for p, size in zip(parts[:-1], sizes[:-1]):
            y = (p, size) if prev is None else n.add((p, size), prev)
            prev = n.conv(y, size, 3, group=size, bias=True, gain=1.0)
            done.append(prev)
        y = n.concat(done + [(parts[-1], sizes[-1])])
        t = n.op("Transpose", [n.op("Reshape", [y[0], n.i64(1, c, tokens)])], perm=[0, 2, 1])
        t = n.op("Add", [t, gamma(xca(layer_norm(t, c), c, heads, tokens), c)])
        t = n.op("Reshape", [t, n.i64(1, side, side, c)])
        t = gamma(mlp(layer_norm(t, c), c), c)
        return n.add(x, (n.op("Transpose", [t], perm=[0, 3, 1, 2]), c))

    x = norm_nchw(n.conv(("input", 3), 32, 4, 4, 0, bias=True))
    side = 28
    for stage, (c, count, k) in enumerate([(32, 2, 3), (64, 2, 5), (100, 4, 7), (192, 2, 9)]):
        if stage:
            x = n.conv(norm_nchw(x), c, 2, 2, 0, bias=True, gain=1.0)
            side //= 2
        for _ in range(count - 1):
            x = conv_block(x, k)
        x = sdta_block(x, stage + 2, side) if stage else conv_block(x, k)
    y = n.op("ReduceMean", [x[0]], axes=[2, 3], keepdims=0)
    return n, n.gemm(layer_norm(y, x[1]), 512, x[1])


def minifasnet(seed):
    n = Net(seed, 3, 80, 80, 10)

    def cbp(x, out, k, stride=1, group=1, pad=None):
        return n.prelu(n.bn(n.conv(x, out, k, stride, pad, group)))

    def depthwise(x, mid, out, stride):
        y = cbp(cbp(x, mid, 1), mid, 3, stride, mid)
        return n.bn(n.conv(y, out, 1, gain=1.0), gamma=0.5)

    def squeeze(x):
        y = (n.op("AveragePool", [x[0]], kernel_shape=[5, 5], strides=[5, 5]), x[1])
        y = n.bn(n.conv(y, x[1] // 4, 1))
        y = n.unary("Sigmoid", n.bn(n.conv(n.unary("Relu", y), x[1], 1)))
        return n.op("Mul", [x[0], y[0]]), x[1]

    x = cbp(("input", 3), 32, 3, 2)
    x = cbp(x, 32, 3, 1, 32)
    for mid, out, count in ((103, 64, 4), (231, 128, 6), (231, 128, 2)):
        x = depthwise(x, mid, out, 2)
        for _ in range(count):
            x = n.add(x, depthwise(x, mid, out, 1))
    x = squeeze(cbp(x, 512, 1))
    x = n.bn(n.conv(x, 512, 5, 1, 0, 512))
    flat = n.op("Reshape", [x[0], n.i64(1, -1)])
    y = n.bn((n.gemm(flat, 128, 512, bias=False), 128))[0]
    return n, n.op("Softmax", [n.gemm(y, 3, 128, bias=False)], axis=1)


NETS = {
    "iresnet50": lambda: iresnet((3, 4, 14, 3), 1),
    "iresnet100": lambda: iresnet((3, 13, 30, 3), 2, 13),
    "facenet_v1": lambda: facenet(1, 3, 9),
    "facenet_v2": lambda: facenet(2, 4, 12),
    "edgeface": lambda: edgeface(5),
    "minifasnet": lambda: minifasnet(6),
}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in NETS:
        sys.exit(__doc__ + "NAME is one of: " + " ".join(NETS))
    net, out = NETS[sys.argv[1]]()
    net.save(out, sys.argv[2])
