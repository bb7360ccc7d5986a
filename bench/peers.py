"""The programs mien is timed against, behind one face: `run()` does one inference, `outputs()` lends its arrays.

All run one thread in fp32 unless their name says otherwise, on the network with its input shape fixed. Each is
given its fastest documented settings. A peer that is not installed, or cannot take a network, raises; the harness
says so and goes on.
"""

import os
import subprocess
import time

import numpy as np

import mienlib
import nets


class Mien:
    name = "mien"

    def __init__(self, net, out_dir, threads=1):
        self.session = mienlib.Session(nets.original(net, out_dir), net.shape, threads)
        self.session.input[...] = nets.random_input(net)
        self.run = self.session.run
        self.version = mienlib.lib().mien_version().decode() + " " + mienlib.lib().mien_cpu_level().decode()

    def outputs(self):
        return [a for _, a in self.session.outputs()]


class OnnxRuntime:
    name = "ONNX Runtime"

    def __init__(self, net, out_dir, threads=1):
        import onnxruntime as ort
        ort.set_default_logger_severity(3)
        opts = ort.SessionOptions()
        opts.intra_op_num_threads = threads
        opts.inter_op_num_threads = 1
        opts.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        opts.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        self.session = ort.InferenceSession(nets.static_onnx(net, out_dir), opts, providers=["CPUExecutionProvider"])
        # buffers bound once: no copies or Python objects in the timed call
        self.binding = self.session.io_binding()
        self.input = ort.OrtValue.ortvalue_from_numpy(nets.random_input(net))
        self.binding.bind_ortvalue_input(self.session.get_inputs()[0].name, self.input)
        for out in self.session.get_outputs():
            self.binding.bind_output(out.name)
        self.version = ort.__version__

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def outputs(self):
        return self.binding.copy_outputs_to_cpu()


class Ncnn:
    name = "ncnn"
    reduced = False

    def __init__(self, net, out_dir, threads=1):
        import ncnn
        self.ncnn = ncnn
        param, weights = nets.ncnn_files(net, out_dir)
        self.net = ncnn.Net()
        opt = self.net.opt
        opt.num_threads = threads
        if not self.reduced:
            for key in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage",
                        "use_bf16_packed", "use_int8_packed", "use_int8_storage", "use_int8_arithmetic",
                        "use_int8_inference"):
                if hasattr(opt, key):
                    setattr(opt, key, False)
        opt.use_winograd_convolution = True
        opt.use_sgemm_convolution = True
        opt.use_packing_layout = True
        opt.lightmode = True
        if self.net.load_param(param) or self.net.load_model(weights):
            raise RuntimeError("ncnn cannot read the converted network")
        self.ins, self.outs = nets.ncnn_blobs(param)
        self.input = ncnn.Mat(nets.random_input(net)[0]).clone()
        self.version = ncnn.__version__

    def run(self):
        ex = self.net.create_extractor()
        ex.input(self.ins[0], self.input)
        self.last = [ex.extract(o)[1] for o in self.outs]

    def outputs(self):
        return [np.array(m) for m in self.last]


class NcnnDefault(Ncnn):
    """ncnn as it comes: it may store fp16 or bf16 where the CPU has them."""
    name = "ncnn (its defaults)"
    reduced = True


class OpenCv:
    name = "OpenCV dnn"

    def __init__(self, net, out_dir, threads=1):
        import cv2
        cv2.setNumThreads(threads)
        self.input = nets.random_input(net)
        self.version = cv2.__version__
        self.best = None
        # OpenCV 5 has two engines; the faster of them is the peer
        engines = [e for e in ("ENGINE_NEW", "ENGINE_CLASSIC") if hasattr(cv2.dnn, e)] or [None]
        for engine in engines:
            try:
                args = [getattr(cv2.dnn, engine)] if engine else []
                dnn = cv2.dnn.readNetFromONNX(nets.static_onnx(net, out_dir), *args)
                names = dnn.getUnconnectedOutLayersNames()
                dnn.setInput(self.input)
                dnn.forward(names)
                times = []
                for _ in range(3):
                    t0 = time.perf_counter()
                    dnn.setInput(self.input)
                    dnn.forward(names)
                    times.append(time.perf_counter() - t0)
            except cv2.error:
                continue
            if self.best is None or min(times) < self.best:
                self.best, self.net, self.names, self.engine = min(times), dnn, names, engine
        if self.best is None:
            raise RuntimeError("OpenCV dnn cannot read or run this network")

    def run(self):
        self.net.setInput(self.input)
        self.last = self.net.forward(self.names)

    def outputs(self):
        return list(self.last)


class OneDnn:
    """bench/onednn.c in a process of its own, asked for one run at a time."""
    name = "oneDNN (convolutions only)"
    own_clock = True

    def __init__(self, net, out_dir, threads=1):
        binary = os.path.join(out_dir, "onednn")
        source = os.path.join(nets.ROOT, "bench", "onednn.c")
        if not os.path.exists(binary) or os.path.getmtime(binary) < os.path.getmtime(source):
            cc = os.environ.get("CC", "cc")
            done = subprocess.run([cc, "-O2", source, "-o", binary, "-ldnnl"], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError("libdnnl-dev is not installed")
        env = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.proc = subprocess.Popen([binary, nets.conv_list(net, out_dir)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, bufsize=1, env=env)
        ready = self.proc.stdout.readline().split()
        if len(ready) != 3:
            raise RuntimeError("bench/onednn.c did not start")
        self.version = ready[1]

    def run(self):
        self.proc.stdin.write("run\n")
        self.proc.stdin.flush()
        return float(self.proc.stdout.readline()) / 1e3

    def close(self):
        self.proc.stdin.close()
        self.proc.wait()

    def outputs(self):
        return None


PEERS = [OnnxRuntime, Ncnn, NcnnDefault, OpenCv, OneDnn]
