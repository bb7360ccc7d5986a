"""Starting a server for a test, and talking to it: raw enough that a test can send what a client library would not."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import uuid

import schema

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Server:
    """A `mien serve` of its own data folder, on a free port, ended with the block."""

    def __init__(self, mien, *options, data=None, env=None):
        self.mien, self.options, self.env = mien, options, env
        self.data = data or tempfile.mkdtemp(prefix="mien-serve-")
        self.key = None

    def start(self):
        self.process = subprocess.Popen([self.mien, "serve", "--listen", "127.0.0.1:0", "--data", self.data, *self.options],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise RuntimeError(line + self.process.stderr.read())
        self.host, port = line.split("://")[1].strip("/\n").rsplit(":", 1)
        self.port = int(port)
        if self.key is None:
            for _ in range(3):
                text = self.process.stdout.readline().strip()
                if text.startswith("mien_"):
                    self.key = text
        return self

    def stop(self):
        self.process.terminate()
        try:
            out, err = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, err

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def raw(self, data, timeout=5):
        """Send bytes, return everything until the other side closes or time is up."""
        with socket.create_connection((self.host, self.port), timeout=timeout) as s:
            s.sendall(data)
            out = b""
            try:
                while piece := s.recv(65536):
                    out += piece
            except (TimeoutError, ConnectionError):
                pass
            return out


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def type(self):
        return self.headers.get("Content-Type", "")

    @property
    def json(self):
        return json.loads(self.body) if self.type.startswith("application/json") else None

    @property
    def code(self):
        return (self.json or {}).get("error", {}).get("code")


class Client:
    """Calls with a key; every answer of /v1 is held against the description."""

    def __init__(self, server, key=None, doc=None):
        self.server, self.key, self.doc = server, key or server.key, doc
        self.seen = set()
        self.faults = []

    def call(self, method, path, body=None, headers=None, form=None, data=None, key=True):
        headers = dict(headers or {})
        if key:
            headers.setdefault("Authorization", "Bearer " + (self.key if key is True else key))
        if form is not None:
            data, headers["Content-Type"] = encode_form(form)
        elif body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        c = http.client.HTTPConnection(self.server.host, self.server.port, timeout=60)
        c.request(method, path, body=data, headers=headers)
        r = c.getresponse()
        a = Answer(r.status, dict(r.getheaders()), r.read())
        c.close()
        bare = path.split("?")[0]
        if self.doc and bare.startswith(("/v1", "/metrics")):
            template, _ = schema.find(self.doc, method, bare)
            if template:
                value = a.json if a.json is not None else a.body.decode("utf-8", "replace")
                self.faults += schema.check(self.doc, method, bare, a.status, a.type, value)
                self.seen.add((method, template, a.status < 400))
        return a

    def get(self, path, **k):
        return self.call("GET", path, **k)

    def post(self, path, **k):
        return self.call("POST", path, **k)


def description():
    with open(os.path.join(ROOT, "web", "openapi.json")) as f:
        return json.load(f)


def check_complete(test, clients, tags):
    """Every call with one of the tags was made with success by one of the clients, and every answer was as described."""
    made = {(m, p) for c in clients for m, p, ok in c.seen if ok}
    wanted = {(m.upper(), p) for p, ms in clients[0].doc["paths"].items() for m, op in ms.items() if op["tags"][0] in tags}
    test.assertEqual([f for c in clients for f in c.faults], [])
    test.assertEqual(wanted - made, set())


def encode_form(form):
    """Fields are text, or (file name, bytes)."""
    mark = uuid.uuid4().hex
    out = b""
    for name, value in form:
        out += f'--{mark}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if isinstance(value, tuple):
            out += f'; filename="{value[0]}"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode() + value[1]
        else:
            out += b"\r\n\r\n" + value.encode()
        out += b"\r\n"
    return out + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def sample(person, picture):
    folder = os.path.join(ROOT, "samples", "person-%02d" % person)
    name = sorted(os.listdir(folder))[picture]
    with open(os.path.join(folder, name), "rb") as f:
        return name, f.read()


def file_of(*parts):
    with open(os.path.join(ROOT, *parts), "rb") as f:
        return parts[-1], f.read()
