#!/usr/bin/env python3
"""The server behind nginx and HAProxy, with the examples that are shipped (packaging/): each kind of request through each of them.

    tests/http/proxies.py build/release/mien

Only ports, certificate and log of the examples are changed. Exit 77: neither proxy is installed, or no openssl for a certificate.
"""

import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time

from client import ROOT, Client, Server, encode_form, sample

NAME = "faces.example.org"
FAULTS = []
os.environ["PATH"] += ":/usr/sbin:/sbin"


def check(ok, what):
    if not ok:
        FAULTS.append(what)
        print("FAULT", what, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def certificate(folder):
    chain, key = os.path.join(folder, "fullchain.pem"), os.path.join(folder, "privkey.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-keyout", key,
                    "-out", chain, "-subj", "/CN=" + NAME, "-addext", "subjectAltName=DNS:" + NAME], check=True, capture_output=True)
    return chain, key


def example(name):
    with open(os.path.join(ROOT, "packaging", name)) as f:
        return f.read()


def replaced(text, *pairs):
    for old, new in pairs:
        if old not in text:
            raise RuntimeError("the example has no " + old)
        text = text.replace(old, new)
    return text


def nginx(folder, port, behind, chain, key):
    site = replaced(example("nginx.conf"), ("listen 443 ssl", "listen 127.0.0.1:%d ssl" % port), ("    listen [::]:443 ssl;\n", ""),
                    ("127.0.0.1:8080;", "127.0.0.1:%d;" % behind), ("/etc/ssl/faces/fullchain.pem", chain), ("/etc/ssl/faces/privkey.pem", key))
    conf = os.path.join(folder, "nginx.conf")
    with open(conf, "w") as f:
        f.write("daemon off; pid %s/nginx.pid; error_log %s/error.log; events {}\nhttp { access_log %s/access.log;\n" % ((folder,) * 3))
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
            f.write("%s_temp_path %s/%s;\n" % (kind, folder, kind))
        f.write(site + "}\n")
    subprocess.run(["nginx", "-t", "-q", "-p", folder, "-c", conf], check=True)
    return ["nginx", "-p", folder, "-c", conf]


def haproxy(folder, port, behind, chain, key):
    pem, conf = os.path.join(folder, "faces.pem"), os.path.join(folder, "haproxy.cfg")
    with open(pem, "w") as f:
        for part in (chain, key):
            f.write(open(part).read())
    with open(conf, "w") as f:
        f.write(replaced(example("haproxy.cfg"), ("bind :443", "bind 127.0.0.1:%d" % port), ("127.0.0.1:8080 ", "127.0.0.1:%d " % behind),
                         ("127.0.0.1:8080\n", "127.0.0.1:%d\n" % behind), ("/etc/haproxy/faces.pem", pem), ("log /dev/log local0", "log stderr local0")))
    out = subprocess.run(["haproxy", "-c", "-f", conf], capture_output=True, text=True)
    check(out.returncode == 0 and "WARNING" not in out.stderr, "haproxy -c: " + out.stderr)
    return ["haproxy", "-db", "-f", conf]


class Through:
    """Requests through the proxy, under the name that the certificate and --host have."""

    def __init__(self, port, chain, key):
        self.port, self.key = port, key
        self.tls = ssl.create_default_context(cafile=chain)

    def open(self):
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        c = http.client.HTTPConnection(NAME, self.port)
        c.sock = self.tls.wrap_socket(raw, server_hostname=NAME)
        return c

    def ask(self, method, path, body=None, key=True, **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        if key:
            headers["Authorization"] = "Bearer " + self.key
        c = self.open()
        c.request(method, path, body=body, headers=headers, encode_chunked="Transfer-Encoding" in headers)
        r = c.getresponse()
        out = r.status, r.headers, r.read()
        c.close()
        return out

    def form(self, path, form, **headers):
        data, kind = encode_form(form)
        return self.ask("POST", path, data, Content_Type=kind, **headers)


def events_flow(t, name):
    """An event reaches a listener while it happens, not when a buffer is full."""
    c = t.open()
    c.request("GET", "/v1/events", headers={"Authorization": "Bearer " + t.key})
    c.sock.settimeout(10)
    listener = c.sock
    time.sleep(0.5)
    t.form("/v1/identify", [("file", sample(1, 2))])
    said, end = b"", time.monotonic() + 10
    try:
        while b"recognised" not in said and time.monotonic() < end:
            said += listener.recv(4096)
    except TimeoutError:
        pass
    c.close()
    check(said.startswith(b"HTTP/1.1 200") and b"text/event-stream" in said and b"recognised" in said, "%s: events: %r" % (name, said[-300:]))


def session_works(t, name):
    code, headers, body = t.ask("POST", "/v1/session", json.dumps({"key": t.key}), key=False, Content_Type="application/json")
    cookie = headers.get("Set-Cookie", "")
    check(code == 201 and "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" in cookie, "%s: session: %d %s" % (name, code, cookie))
    csrf = json.loads(body).get("csrf", "")
    same = {"Cookie": cookie.split(";")[0], "Origin": "https://%s:%d" % (NAME, t.port), "X_CSRF_Token": csrf, "Content_Type": "application/json"}
    person = json.loads(t.ask("GET", "/v1/people")[2])["people"][0]["id"]
    code, _, body = t.ask("PATCH", "/v1/people/%d" % person, json.dumps({"note": "by the page"}), key=False, **same)
    check(code == 200, "%s: a change by the page: %d %s" % (name, code, body))
    code, _, body = t.ask("PATCH", "/v1/people/%d" % person, json.dumps({"note": "x"}), key=False, **dict(same, Origin="https://evil.example"))
    check(code == 403, "%s: a change by another page: %d %s" % (name, code, body))


def too_large_is_refused(t, name):
    c = t.open()
    c.request("POST", "/v1/identify", headers={"Authorization": "Bearer " + t.key, "Content-Type": "image/jpeg", "Content-Length": str(17 << 20)})
    code = c.getresponse().status  # from the head alone
    c.close()
    check(code == 413, "%s: too large: %d" % (name, code))


def image_link_is_not_logged(t, name, folder):
    code, _, body = t.form("/api/v1/recognition/faces?subject=Cleo", [("file", sample(3, 0))], x_api_key=t.key)
    check(code == 201, "%s: CompreFace's enrolment: %d %s" % (name, code, body[:200]))
    code, headers, body = t.ask("GET", "/api/v1/static/%s/images/%s" % (t.key, json.loads(body)["image_id"]), key=False)
    check(code in (200, 404), "%s: a link to a picture: %d %s" % (name, code, body[:200]))
    for path in os.listdir(folder):
        if path.endswith(".log"):
            with open(os.path.join(folder, path), "rb") as f:
                check(t.key.encode() not in f.read(), "%s: a key stands in %s" % (name, path))


def all_kinds(t, name, folder):
    code, headers, page = t.ask("GET", "/", key=False)
    check(code == 200 and "default-src" in headers.get("Content-Security-Policy", "") and b"<title>" in page, "%s: the page: %d" % (name, code))
    code, _, body = t.ask("GET", "/v1/people", key=False)
    check(code == 401, "%s: without a key: %d" % (name, code))
    code, _, body = t.form("/v1/people", [("name", "Ann"), ("file", sample(1, 0)), ("file1", sample(1, 1))], Idempotency_Key="a")
    check(code == 201, "%s: enrol: %d %s" % (name, code, body[:200]))
    code, headers, body = t.ask("GET", "/v1/people")
    tag = headers.get("ETag", "")
    check(code == 200 and b"Ann" in body and tag, "%s: people: %d %s" % (name, code, tag))
    check(t.ask("GET", "/v1/people", If_None_Match=tag)[0] == 304, name + ": ETag")
    for upload in (lambda: t.form("/v1/identify", [("file", sample(1, 2))]), lambda: t.ask("POST", "/v1/identify", sample(1, 2)[1], Content_Type="image/jpeg"),
                   lambda: t.ask("POST", "/v1/identify", iter([sample(1, 2)[1]]), Content_Type="image/jpeg", Transfer_Encoding="chunked")):
        code, _, body = upload()
        check(code == 200 and b'"Ann"' in body, "%s: identify: %d %s" % (name, code, body[:200]))
    check(t.ask("GET", "/v1/health", key=False, Host="evil.example")[0] in (400, 421), name + ": another host")
    check(t.ask("DELETE", "/v1/people", Content_Type="application/json")[0] == 405, name + ": a wrong method")
    check(b"mien_" in t.ask("GET", "/metrics")[2], name + ": metrics")
    events_flow(t, name)
    session_works(t, name)
    too_large_is_refused(t, name)
    image_link_is_not_logged(t, name, folder)
    code, _, _ = t.ask("GET", "/v1/health", key=False)
    check(code == 200, "%s: health at the end: %d" % (name, code))


def run(mien, name, make):
    folder = tempfile.mkdtemp(prefix="mien-proxy-")
    os.chmod(folder, 0o755)  # nginx's workers are another user's
    chain, key = certificate(folder)
    port = free_port()
    with Server(mien, "--host", NAME, "--behind-proxy") as server:
        proxy = subprocess.Popen(make(folder, port, server.port, chain, key), stdout=subprocess.DEVNULL, stderr=open(os.path.join(folder, "stderr.log"), "wb"))
        try:
            for _ in range(100):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.1)
            before = len(FAULTS)
            all_kinds(Through(port, chain, server.key), name, folder)
            print("%s: %s" % (name, "every kind of request went through" if len(FAULTS) == before else "see above"))
        finally:
            proxy.terminate()
            proxy.wait(20)
    shutil.rmtree(folder)


if __name__ == "__main__":
    found = [(name, make) for name, make in (("nginx", nginx), ("haproxy", haproxy)) if shutil.which(name)]
    if not found or not shutil.which("openssl"):
        print("skipped: no proxy, or no openssl")
        sys.exit(77)
    for name, make in found:
        run(os.path.abspath(sys.argv[1]), name, make)
    print("FAULTS: %d" % len(FAULTS) if FAULTS else "all well")
    sys.exit(1 if FAULTS else 0)
