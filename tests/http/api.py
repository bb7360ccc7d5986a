#!/usr/bin/env python3
"""The API from outside: every call of web/openapi.json is made, every answer is held against it, and what must be refused is.

    tests/http/api.py build/release/mien
"""

import base64
import json
import os
import re
import sys
import tempfile
import time
import unittest

import client
from client import Client, Server, file_of, sample

MIEN = None
DOC = client.description()


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(MIEN).start()
        cls.c = Client(cls.server, doc=DOC)
        cls.people = {}
        for i in (1, 2, 3):
            a = cls.c.post("/v1/people", form=[("name", "Person %d" % i), ("file", sample(i, 0)), ("file1", sample(i, 1)),
                                               ("keep_images", "1" if i == 1 else "0")])
            assert a.status == 201, a.body
            cls.people[i] = a.json["person"]

    @classmethod
    def tearDownClass(cls):
        code, err = cls.server.stop()
        assert code in (0, -15) and "stopping" in err, (code, err)

    def key(self, scopes, **more):
        a = self.c.post("/v1/keys", body=dict(name="test " + scopes, scopes=scopes, **more))
        self.assertEqual(a.status, 201, a.body)
        return Client(self.server, a.json["token"], DOC)

    # ---- recognising ----

    def test_identify_names_the_known_and_no_stranger(self):
        a = self.c.post("/v1/identify?top=3", form=[("file", sample(1, 2))])
        face = a.json["faces"][0]
        self.assertTrue(face["known"])
        self.assertEqual(face["person"]["name"], "Person 1")
        self.assertGreaterEqual(face["person"]["similarity"], face["threshold"])
        b = self.c.post("/v1/identify", data=sample(7, 0)[1], headers={"Content-Type": "image/jpeg"})
        self.assertFalse(b.json["faces"][0]["known"])
        self.assertIsNone(b.json["faces"][0]["person"])
        self.assertIn("strangers", b.json["faces"][0]["words"])
        self.assertEqual(self.c.post("/v1/identify", form=[("file", file_of("samples", "no-face", "1.jpg"))]).json["faces"], [])

    def test_compare_takes_forms_and_base64(self):
        same = self.c.post("/v1/compare", form=[("a", sample(4, 0)), ("b", sample(4, 1))])
        self.assertTrue(same.json["same"], same.body)
        text = lambda p: base64.b64encode(p[1]).decode()
        other = self.c.post("/v1/compare", body={"a": text(sample(4, 0)), "b": "data:image/jpeg;base64," + text(sample(5, 0))})
        self.assertFalse(other.json["same"], other.body)
        self.assertEqual(self.c.post("/v1/compare", form=[("a", sample(4, 0))]).code, "NO_PICTURE")
        self.assertEqual(self.c.post("/v1/compare", form=[("a", sample(4, 0)), ("b", file_of("samples", "no-face", "1.jpg"))]).code,
                         "NO_FACE")
        self.assertEqual(self.c.post("/v1/compare", body={"a": "not base64!", "b": "x"}).code, "BAD_ARGUMENT")

    def test_detect_embed_verify(self):
        a = self.c.post("/v1/detect", form=[("file", file_of("samples", "group.jpg"))])
        self.assertEqual(len(a.json["faces"]), 5)
        self.assertEqual(len(self.c.post("/v1/detect?limit=2", form=[("file", file_of("samples", "group.jpg"))]).json["faces"]), 2)
        e = self.c.post("/v1/embed", form=[("file", sample(1, 0))])
        self.assertAlmostEqual(sum(x * x for x in e.json["faces"][0]["embedding"]), 1, places=4)
        yes = self.c.post("/v1/people/%d/verify" % self.people[2], form=[("file", sample(2, 3))])
        no = self.c.post("/v1/people/%d/verify" % self.people[2], form=[("file", sample(3, 3))])
        self.assertTrue(yes.json["same"])
        self.assertFalse(no.json["same"])

    def test_scores_are_coarse_for_those_who_do_not_administer(self):
        low = self.key("recognise").post("/v1/identify", form=[("file", sample(1, 2))])
        score = low.json["faces"][0]["person"]["similarity"]
        self.assertEqual(score, round(score, 3))

    # ---- people ----

    def test_life_of_a_person(self):
        c = self.c
        name = 'Zoë <script>alert(1)</script> \'); DROP TABLE person;-- 名'
        a = c.post("/v1/people", form=[("name", name), ("file", sample(8, 0)), ("file1", sample(8, 1))])
        self.assertEqual(a.status, 201, a.body)
        me = a.json["person"]
        self.assertEqual(c.post("/v1/people/%d/faces" % me, form=[("file", sample(8, 2))]).status, 201)
        got = c.get("/v1/people/%d" % me)
        self.assertEqual(got.json["name"], name)
        self.assertEqual(got.json["faces"], 3)
        self.assertEqual(c.get("/v1/people/%d" % me, headers={"If-None-Match": got.headers["ETag"]}).status, 304)
        p = c.call("PATCH", "/v1/people/%d" % me, body={"name": "Zoë", "note": "n",
                                                        "consent": {"purpose": "test", "basis": "consent", "expires_ms": 4102444800000}})
        self.assertEqual((p.json["name"], p.json["consent"]["purpose"]), ("Zoë", "test"))
        self.assertEqual(c.call("PATCH", "/v1/people/%d" % me, body={"name": "Person 1"}).code, "EXISTS")
        ids = [f["id"] for f in p.json["face_list"]]
        s = c.post("/v1/people/%d/split" % me, body={"faces": ids[:1], "name": "Zoë two"})
        self.assertEqual(s.status, 201, s.body)
        self.assertEqual(c.get("/v1/people/%d" % me).json["faces"], 2)
        self.assertIn("undone", c.post("/v1/people/undo").json)
        self.assertEqual(c.get("/v1/people/%d" % me).json["faces"], 3)
        s = c.post("/v1/people/%d/split" % me, body={"faces": ids[:1], "name": "Zoë two"})
        m = c.post("/v1/people/%d/merge" % me, body={"from": s.json["id"]})
        self.assertEqual(m.json["faces"], 3)
        r = c.call("DELETE", "/v1/faces/%d" % ids[1])
        self.assertTrue(r.json["receipt"]["verified"], r.body)
        r = c.call("DELETE", "/v1/people/%d" % me)
        self.assertTrue(r.json["receipt"]["verified"], r.body)
        self.assertNotIn("Zoë", r.body.decode())
        self.assertEqual(c.get("/v1/people/%d" % me).code, "NOT_FOUND")
        self.assertFalse(c.post("/v1/identify", form=[("file", sample(8, 3))]).json["faces"][0]["known"])

    def test_a_collection_says_when_new_people_expire(self):
        c, day = self.c, 24 * 3600 * 1000
        self.assertEqual(c.post("/v1/collections", body={"name": "visitors"}).json["retention_days"], 0)
        self.assertEqual(c.call("PATCH", "/v1/collections/visitors", body={"retention_days": 30}).json["retention_days"], 30)
        self.assertEqual(c.get("/v1/collections/visitors").json["retention_days"], 30)
        self.assertEqual(c.get("/v1/collections/default").json["retention_days"], 0)

        def enrol(name, *more, path="/v1/people"):
            a = c.post(path + "?collection=visitors", form=[("name", name), *more])
            self.assertEqual(a.status, 201, a.body)
            return c.get("/v1/people/%d?collection=visitors" % a.json["person"]).json["consent"]

        due = enrol("Mai", ("file", sample(10, 0)))["expires_ms"] / day - time.time() / 86400
        self.assertTrue(29.9 < due < 30.1, due)
        self.assertEqual(enrol("Ole", ("file", sample(11, 0)), ("expires_ms", "4102444800000"))["expires_ms"], 4102444800000)
        self.assertIsNone(enrol("Per", ("file", sample(12, 0)), ("expires_ms", "0"))["expires_ms"])
        # who is there already keeps what was agreed
        self.assertEqual(enrol("Ole", ("file", sample(11, 1)))["expires_ms"], 4102444800000)
        self.assertEqual(c.call("PATCH", "/v1/collections/visitors", body={}).json["retention_days"], 30)
        self.assertEqual(c.call("PATCH", "/v1/collections/visitors", body={"retention_days": 0}).json["retention_days"], 0)
        self.assertIsNone(enrol("Noa", ("file", sample(9, 0)))["expires_ms"])
        for body in ({"retention_days": -1}, {"retention_days": 1e9}, {"retention_days": "soon"}):
            self.assertEqual(c.call("PATCH", "/v1/collections/visitors", body=body).code, "BAD_ARGUMENT")
        self.assertEqual(c.call("PATCH", "/v1/collections/none", body={"retention_days": 1}).code, "NO_COLLECTION")
        self.assertEqual(self.key("read,enrol").call("PATCH", "/v1/collections/visitors", body={"retention_days": 1}).code, "NOT_ALLOWED")

    def test_lists_are_paged_and_searched(self):
        a = self.c.get("/v1/people?limit=2&match=person")
        self.assertEqual(len(a.json["people"]), 2)
        b = self.c.get("/v1/people?limit=2&match=person&after=%d" % a.json["next"])
        self.assertNotIn(b.json["people"][0]["id"], [p["id"] for p in a.json["people"]])
        self.assertEqual(self.c.get("/v1/people?limit=0").code, "BAD_ARGUMENT")
        self.assertEqual(self.c.get("/v1/people?limit=x").code, "BAD_ARGUMENT")

    def test_refusals_say_why(self):
        post = lambda *form: self.c.post("/v1/people", form=list(form))
        self.assertEqual(post(("name", "a"), ("file", file_of("samples", "no-face", "1.jpg"))).code, "NO_FACE")
        self.assertEqual(post(("name", "a"), ("file", file_of("samples", "group.jpg"))).code, "MANY_FACES")
        self.assertEqual(post(("name", "Person 1"), ("file", sample(1, 0))).code, "DUPLICATE_IMAGE")
        two = post(("name", "Two people"), ("file", sample(4, 0)), ("file1", sample(12, 0)))
        self.assertEqual([p["reason"] for p in two.json["pictures"]], ["NONE", "UNLIKE_THE_PERSON"], two.body)
        self.c.call("DELETE", "/v1/people/%d" % two.json["person"])
        self.assertEqual(post(("name", "Person 2"), ("file", sample(1, 3))).code, "UNLIKE_THE_PERSON")
        like = post(("name", "somebody else"), ("file", sample(1, 3)))
        self.assertEqual(like.code, "LOOKS_LIKE_ANOTHER_PERSON", like.body)
        self.assertEqual(like.json["error"]["details"]["pictures"][0]["other_person"], self.people[1])
        self.assertEqual(post(("name", "a"), ("file", ("x.jpg", b"\xff\xd8\xff garbage"))).status, 422)
        self.assertEqual(post(("file", sample(1, 0))).code, "BAD_ARGUMENT")
        self.assertEqual(post(("name", "a")).code, "NO_PICTURE")
        self.assertEqual(post(("name", "n" * 5000), ("file", sample(9, 0))).code, "TOO_LARGE")

    def test_kept_image_comes_back_and_others_were_not_kept(self):
        for i, status in ((1, 200), (2, 404)):
            face = self.c.get("/v1/people/%d" % self.people[i]).json["face_list"][0]
            self.assertEqual(face["has_image"], i == 1)
            self.assertEqual(self.c.get("/v1/faces/%d/image" % face["id"]).status, status)

    def test_expire_and_audit(self):
        a = self.c.post("/v1/people", body={"name": "Brief", "file": base64.b64encode(sample(10, 0)[1]).decode(),
                                            "consent": {"purpose": "x", "basis": "consent", "expires_ms": 1000}})
        self.assertEqual(a.status, 201, a.body)
        self.assertFalse(self.c.post("/v1/identify", form=[("file", sample(10, 1))]).json["faces"][0]["known"])
        self.assertEqual(self.c.post("/v1/people/expire").json["removed"], 1)
        entries = self.c.get("/v1/audit?limit=1000").json["entries"]
        self.assertIn("expire", [e["action"] for e in entries])
        self.assertNotIn("Brief", json.dumps(entries))
        self.assertTrue(all(e["actor"] for e in entries))

    def test_repeated_write_is_done_once(self):
        form = [("name", "Once"), ("file", sample(11, 0))]
        data, kind = client.encode_form(form)
        h = {"Idempotency-Key": "k1", "Content-Type": kind}
        a = self.c.post("/v1/people", data=data, headers=h)
        b = self.c.post("/v1/people", data=data, headers=h)
        self.assertEqual((a.status, b.status, a.body), (201, 201, b.body))
        self.assertEqual(b.headers.get("Idempotent-Replay"), "true")
        self.assertEqual(self.c.get("/v1/people/%d" % a.json["person"]).json["faces"], 1)
        other = self.c.post("/v1/people", body={"name": "Other"}, headers={"Idempotency-Key": "k1"})
        self.assertEqual(other.code, "IDEMPOTENCY_KEY_REUSED")
        token = self.c.post("/v1/keys", body={"name": "x", "scopes": "read"}, headers={"Idempotency-Key": "k2"})
        self.assertEqual((token.status, token.code), (400, "BAD_ARGUMENT"))  # its answer would be remembered

    # ---- the server ----

    def test_collections_are_apart(self):
        a = self.c.post("/v1/collections", body={"name": "guests", "purpose": "visits"})
        self.assertEqual(a.status, 201, a.body)
        self.assertEqual(self.c.post("/v1/collections", body={"name": "guests"}).code, "EXISTS")
        for bad in ("../x", "A", "", "a/b", "a" * 64):
            self.assertEqual(self.c.post("/v1/collections", body={"name": bad}).code, "BAD_ARGUMENT", bad)
        self.assertFalse(self.c.post("/v1/identify?collection=guests", form=[("file", sample(1, 2))]).json["faces"][0]["known"])
        own = self.key("read,recognise,enrol", collection="guests")
        self.assertEqual(own.post("/v1/people", form=[("name", "G"), ("file", sample(12, 0))]).status, 201)
        self.assertEqual(own.get("/v1/people?collection=default").status, 403)
        self.assertEqual(own.get("/v1/collections").json["collections"], ["guests"])
        self.assertEqual(own.get("/v1/collections/default").status, 403)
        self.assertEqual(self.c.get("/v1/collections/guests").json["people"], 1)
        self.assertEqual(self.c.call("DELETE", "/v1/collections/default").code, "BAD_ARGUMENT")
        self.assertEqual(self.c.call("DELETE", "/v1/collections/guests").status, 204)
        self.assertEqual(self.c.get("/v1/people?collection=guests").code, "NO_COLLECTION")

    def test_scopes_hold(self):
        allowed = {"": 0, "read": 1, "recognise": 2, "enrol": 4, "admin": 8}
        keys = {s: self.key(s) for s in ("read", "recognise", "enrol")}
        for path, methods in DOC["paths"].items():
            for method, op in methods.items():
                if "x-scope" not in op:
                    continue
                url = path.replace("{person}", "999999").replace("{face}", "999999").replace("{key}", "999999").replace("{name}", "none")
                url = url.replace("{set}", "0" * 16).replace("{job}", "0" * 16).replace("{file}", "none").replace("{group}", "999999")
                nobody = self.c.call(method.upper(), url, key=False)
                self.assertEqual((nobody.status, nobody.code), (401, "NO_KEY"), path)
                wrong = self.c.call(method.upper(), url, key="mien_1_" + "A" * 43)
                self.assertEqual(wrong.status, 401, path)
                for scope, c in keys.items():
                    if op["x-scope"] not in ("", scope):
                        self.assertEqual(c.call(method.upper(), url).status, 403, (scope, method, path))

    def test_revoked_and_expired_keys_end(self):
        k = self.key("read")
        self.assertEqual(k.get("/v1/people").status, 200)
        ids = [x["id"] for x in self.c.get("/v1/keys").json["keys"]]
        self.assertEqual(self.c.call("DELETE", "/v1/keys/%d" % ids[-1]).status, 204)
        self.assertEqual(k.get("/v1/people").status, 401)
        self.assertEqual(self.c.call("DELETE", "/v1/keys/%d" % ids[-1]).status, 404)
        self.assertEqual(self.key("read", expires_ms=1000).get("/v1/people").status, 401)
        self.assertEqual(self.c.post("/v1/keys", body={"name": "x", "scopes": "root"}).code, "BAD_ARGUMENT")
        self.assertNotIn(self.server.key.split("_", 2)[2].encode(), self.c.get("/v1/keys").body)

    def test_session_needs_its_token_and_our_origin(self):
        c = self.c
        self.assertEqual(c.post("/v1/session", body={"key": "mien_1_wrongwrongwrong"}, key=False).status, 401)
        a = c.post("/v1/session", body={"key": self.server.key}, key=False)
        self.assertEqual(a.status, 201)
        cookie = a.headers["Set-Cookie"]
        self.assertIn("HttpOnly", cookie)
        self.assertIn("SameSite=Strict", cookie)
        base = {"Cookie": cookie.split(";")[0]}
        who = c.get("/v1/session", key=False, headers=base)
        self.assertEqual(who.json["csrf"], a.json["csrf"])
        undo = lambda **h: c.post("/v1/people/undo", key=False, headers=dict(base, **h)).code
        self.assertEqual(undo(), "CSRF")
        self.assertEqual(undo(**{"X-CSRF-Token": "x" * 43}), "CSRF")
        good = {"X-CSRF-Token": a.json["csrf"]}
        self.assertEqual(undo(**good, Origin="http://evil.example"), "CSRF")
        self.assertEqual(undo(**good, **{"Sec-Fetch-Site": "cross-site"}), "CSRF")
        self.assertNotIn(undo(**good, Origin="http://%s:%d" % (self.server.host, self.server.port)), ("CSRF", "NO_KEY"))
        self.assertEqual(c.call("DELETE", "/v1/session", key=False, headers=dict(base, **good)).status, 204)
        self.assertEqual(c.get("/v1/session", key=False, headers=base).status, 401)

    def test_the_page_that_the_server_opens_is_signed_in_once(self):
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "log")
            browser = os.path.join(folder, "browser")
            with open(browser, "w") as f:
                f.write('#!/bin/sh\necho "$1" > "%s.new"; cat "${1#file://}" >> "%s.new"; mv "%s.new" "%s"\n' % (log, log, log, log))
            os.chmod(browser, 0o755)
            with Server(MIEN, "--open", env=dict(os.environ, BROWSER=browser)) as server:
                for _ in range(100):
                    if os.path.exists(log):
                        break
                    time.sleep(0.05)
                with open(log) as f:
                    url, page = f.read().split("\n", 1)
                self.assertEqual(os.stat(url[7:]).st_mode & 0o777, 0o600)
                address, code = re.search(r"url=(\S+)#enter=([\w-]+)", page).groups()
                self.assertEqual(address, "http://%s:%d/" % (server.host, server.port))
                c = Client(server, doc=DOC)
                enter = lambda code: c.post("/v1/session", body={"enter": code}, key=False)
                self.assertEqual(enter("x" * 43).status, 401)
                first = enter(code)
                self.assertEqual((first.status, first.json["scopes"]), (201, "read,recognise,enrol,admin"), first.body)
                self.assertEqual(enter(code).status, 401)
                self.assertEqual(c.faults, [])
                server.stop()
                self.assertFalse(os.path.exists(url[7:]), "the page with the code was left")

    def test_foreign_host_is_refused(self):
        a = self.server.raw(b"GET /v1/health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        self.assertIn(b" 421 ", a.split(b"\r\n")[0])

    def test_paths_and_methods(self):
        for path in ("/v1/none", "/web/../server.db", "/web/%2e%2e/x", "/web/none.js", "/etc/passwd", "/v1//people"):
            a = self.server.raw(b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path.encode())
            self.assertIn(a.split(b" ")[1], (b"400", b"404"), path)
        a = self.c.call("PUT", "/v1/people")
        self.assertEqual(a.status, 405)
        self.assertIn("POST", a.headers["Allow"])
        self.assertEqual(self.c.call("HEAD", "/v1/health", key=False).body, b"")

    def test_bombs_are_refused(self):
        deep = b"[" * 100000 + b"]" * 100000
        for body in (deep, b'{"a":' * 5000 + b"1" + b"}" * 5000, b'{"name":"a","name":"b"}', b"{", b"\xff\xfe", b'"x"', b"1"):
            a = self.c.post("/v1/keys", data=body, headers={"Content-Type": "application/json"})
            self.assertEqual((a.status, a.code), (400, "MALFORMED_BODY"), body[:30])
        a = self.c.post("/v1/keys", data=b"x", headers={"Content-Type": "text/xml"})
        self.assertEqual(a.status, 415)
        a = self.c.post("/v1/detect", form=[("f%d" % i, "x") for i in range(200)])
        self.assertEqual(a.code, "MALFORMED_BODY")
        a = self.server.raw(b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nx-api-key: %s\r\nContent-Length: 99999999\r\n\r\n"
                            % self.server.key.encode())
        self.assertIn(b" 413 ", a.split(b"\r\n")[0])

    def test_a_refusal_is_heard_while_the_body_is_still_sent(self):
        import socket
        head = b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer mien_1_wrong\r\nContent-Length: %d\r\n\r\n"
        body = b"x" * (4 << 20)
        for _ in range(30):
            with socket.create_connection((self.server.host, self.server.port), timeout=10) as s:
                s.sendall(head % len(body) + body)
                self.assertIn(b" 401 ", s.recv(4096).split(b"\r\n")[0])

    def test_page_and_description_are_served_with_a_strict_policy(self):
        a = self.c.get("/", key=False)
        self.assertEqual(a.status, 200)
        self.assertIn("default-src 'none'", a.headers["Content-Security-Policy"])
        self.assertNotIn("unsafe", a.headers["Content-Security-Policy"])
        self.assertEqual(self.c.get("/", key=False, headers={"If-None-Match": a.headers["ETag"]}).status, 304)
        self.assertEqual(self.c.get("/v1/openapi.json", key=False).json, DOC)

    def test_system(self):
        self.assertEqual(self.c.get("/v1/health", key=False).json["status"], "ok")
        self.assertIn("mien_requests_total", self.c.get("/metrics").body.decode())
        models = {m["use"]: m for m in self.c.get("/v1/models").json["models"]}
        self.assertEqual(set(models), {"detect", "embed"})
        scale = models["embed"]["calibration"]
        self.assertGreater(len(scale), 3)
        self.assertEqual([p["threshold"] for p in scale], sorted((p["threshold"] for p in scale), reverse=True))
        self.assertEqual(models["detect"]["calibration"], [])
        self.assertEqual(self.c.get("/v1/collections").json["collections"][0], "default")

    def test_events_tell_what_happens(self):
        import socket
        s = socket.create_connection((self.server.host, self.server.port), timeout=5)
        s.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n" % self.server.key.encode())
        self.c.post("/v1/identify", form=[("file", sample(1, 2))])
        got = b""
        while b"event: recognised" not in got:
            got += s.recv(4096)
        s.close()
        self.assertNotIn(b"Person 1", got)
        self.c.seen.add(("GET", "/v1/events", True))

    def test_events_end_with_their_key(self):
        import socket
        k = self.key("read")
        with socket.create_connection((self.server.host, self.server.port), timeout=30) as s:
            s.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n" % k.key.encode())
            got = s.recv(4096)
            self.assertIn(b" 200 ", got)
            ids = [x["id"] for x in self.c.get("/v1/keys").json["keys"]]
            self.assertEqual(self.c.call("DELETE", "/v1/keys/%d" % ids[-1]).status, 204)
            while not got.endswith(b"0\r\n\r\n"): # the last chunk
                piece = s.recv(4096)
                self.assertTrue(piece, got[-40:])
                got += piece

    def test_zz_every_call_was_made_and_every_answer_fits(self):
        # sets.py, album.py, evaluate.py and train.py make the calls of theirs
        client.check_complete(self, [self.c], ["Recognise", "People", "Server"])


if __name__ == "__main__":
    MIEN = os.path.abspath(sys.argv.pop(1))
    unittest.main(argv=[sys.argv[0], "-f"] + sys.argv[1:])
