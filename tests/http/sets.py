#!/usr/bin/env python3
"""Sets of pictures from outside: made, filled, looked at, removed; whose they are; what is kept of a picture and what is not.

    tests/http/sets.py build/release/mien
"""

import json
import os
import sys
import unittest
from urllib.parse import quote

import client
from client import Client, Server, file_of, sample

MIEN = None


class Sets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.doc = client.description()
        cls.server = Server(MIEN).start()
        cls.c = Client(cls.server, doc=cls.doc)

    @classmethod
    def tearDownClass(cls):
        code, err = cls.server.stop()
        assert code in (0, -15), (code, err)

    def make(self, c=None, **more):
        a = (c or self.c).post("/v1/sets", body=dict(name="test", **more))
        self.assertEqual(a.status, 201, a.body)
        return a.json["id"]

    def send(self, id, path, picture, c=None):
        return (c or self.c).post("/v1/sets/%s/pictures?path=%s" % (id, quote(path)), data=picture[1], headers={"Content-Type": "image/jpeg"})

    def key(self, scopes, **more):
        a = self.c.post("/v1/keys", body=dict(name="test " + scopes, scopes=scopes, **more))
        return Client(self.server, a.json["token"], self.doc)

    def files(self, id):
        folder = os.path.join(self.server.data, "sets", id)
        all = b""
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as f:
                all += f.read()
        return all

    def test_a_set_is_filled_and_looked_at(self):
        id = self.make(purpose="album")
        self.assertEqual(self.send(id, "Ann/1.jpg", sample(1, 0)).status, 201)
        self.assertEqual(self.send(id, "Ann/2.jpg", sample(1, 1)).status, 201)
        group = self.c.post("/v1/sets/%s/pictures" % id, form=[("file", file_of("samples", "group.jpg"))])
        self.assertEqual((group.status, group.json["path"], len(group.json["faces"])), (201, "group.jpg", 5), group.body)
        self.assertTrue(all("quality" in f and "reason" in f for f in group.json["faces"]))
        empty = self.send(id, "Bo/none.jpg", file_of("samples", "no-face", "1.jpg"))
        self.assertEqual((empty.status, empty.json["faces"]), (201, []))
        got = self.c.get("/v1/sets/" + id).json
        self.assertEqual((got["pictures"], got["faces"], got["without_face"], got["people"]), (4, 7, 1, 2))
        self.assertGreater(got["expires_ms"], got["created_ms"])
        self.assertEqual((got["name"], got["purpose"]), ("test", "album"))
        # the same name again replaces the picture
        self.assertEqual(self.send(id, "Ann/2.jpg", sample(1, 2)).status, 201)
        self.assertEqual(self.c.get("/v1/sets/" + id).json["faces"], 7)
        first = self.c.get("/v1/sets/%s/pictures?limit=3" % id).json
        self.assertEqual([p["path"] for p in first["pictures"]], ["Ann/1.jpg", "Ann/2.jpg", "Bo/none.jpg"])
        rest = self.c.get("/v1/sets/%s/pictures?limit=3&after=%s" % (id, quote(first["next"]))).json
        self.assertEqual([p["path"] for p in rest["pictures"]], ["group.jpg"])
        self.assertIsNone(rest["next"])
        crop = self.c.get("/v1/sets/%s/faces/1" % id)
        self.assertEqual((crop.status, crop.type, crop.body[:2]), (200, "image/jpeg", b"\xff\xd8"))
        self.assertEqual(self.c.get("/v1/sets/%s/faces/999" % id).code, "NOT_FOUND")
        self.assertIn(id, [s["id"] for s in self.c.get("/v1/sets").json["sets"]])

    def test_the_picture_is_not_kept_and_removal_leaves_nothing(self):
        id = self.make()
        name, data = sample(2, 0)
        self.assertEqual(self.send(id, "Zoë & co/ü 1.jpg", (name, data)).status, 201)
        kept = self.files(id)
        for at in range(0, len(data) - 64, 4096):
            self.assertNotIn(data[at:at + 64], kept, "a piece of the picture's file was kept")
        self.assertEqual(self.c.call("DELETE", "/v1/sets/" + id).status, 204)
        self.assertEqual(self.c.call("DELETE", "/v1/sets/" + id).code, "NOT_FOUND")
        self.assertEqual(self.send(id, "a.jpg", sample(1, 0)).code, "NOT_FOUND")
        self.assertFalse([f for f in os.listdir(os.path.join(self.server.data, "sets")) if f.startswith(id[:8])])

    def test_a_set_is_its_keys(self):
        one, two = self.key("enrol"), self.key("enrol")
        own_admin = self.key("admin", collection="default")
        id = self.make(one)
        self.assertEqual(self.send(id, "a.jpg", sample(1, 0), one).status, 201)
        for c in (two, own_admin):
            for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/pictures"), ("GET", "/faces/1")):
                self.assertEqual(c.call(method, "/v1/sets/%s%s" % (id, path)).code, "NOT_FOUND", (method, path))
            self.assertEqual(self.send(id, "b.jpg", sample(1, 0), c).code, "NOT_FOUND")
            self.assertEqual(c.get("/v1/sets").json["sets"], [])
        self.assertEqual(self.c.get("/v1/sets/" + id).status, 200)

    def test_what_makes_no_sense_is_refused(self):
        id = self.make()
        for path in ("", "/a.jpg", "a//b.jpg", "../a.jpg", "a/./b.jpg", "a/", "x" * 600):
            self.assertEqual(self.send(id, path, sample(1, 0)).code, "BAD_ARGUMENT", path)
        self.assertEqual(self.c.post("/v1/sets/%s/pictures" % id, data=sample(1, 0)[1], headers={"Content-Type": "image/jpeg"}).code, "BAD_ARGUMENT")
        self.assertEqual(self.send(id, "a.jpg", ("a.jpg", b"no picture")).code, "NOT_A_PICTURE")
        self.assertEqual(self.c.post("/v1/sets/%s/pictures" % id, form=[("path", "a.jpg")]).code, "NO_PICTURE")
        self.assertEqual(self.send(id, "a\nb.jpg", sample(1, 0)).code, "MALFORMED_REQUEST")
        for bad in ("x", "0" * 15 + ".", "A" * 16, "0" * 16):
            self.assertEqual(self.c.get("/v1/sets/" + bad).code, "NOT_FOUND", bad)
        self.assertEqual(self.c.post("/v1/sets", body={"name": "n" * 200}).code, "BAD_ARGUMENT")
        self.assertEqual(self.c.post("/v1/sets", body={"hours": 0}).code, "BAD_ARGUMENT")
        self.assertEqual(self.c.post("/v1/sets", body={"purpose": "p" * 32}).code, "BAD_ARGUMENT")

    def test_time_and_restarts(self):
        gone, kept = self.make(), self.make(hours=48)
        self.send(kept, "a.jpg", sample(1, 0))
        path = os.path.join(self.server.data, "sets", gone, "set.json")
        with open(path) as f:
            info = json.load(f)
        info["expires_ms"] = 1000
        with open(path, "w") as f:
            json.dump(info, f)
        self.assertEqual(self.c.get("/v1/sets/" + gone).code, "NOT_FOUND")
        half = os.path.join(self.server.data, "sets", "0123456789abcdef")
        os.mkdir(half)
        self.server.stop()
        self.server.start()
        self.assertFalse(os.path.exists(os.path.dirname(path)), "a set outlived its time")
        self.assertFalse(os.path.exists(half), "half a set was left")
        self.assertEqual(self.c.get("/v1/sets/" + kept).json["faces"], 1)

    def test_jobs_are_listed(self):
        self.assertEqual(self.c.get("/v1/jobs").json, {"jobs": []})
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/files/report.html")):
            self.assertEqual(self.c.call(method, "/v1/jobs/0123456789abcdef" + path).code, "NOT_FOUND", (method, path))

    def test_zz_every_call_was_made_and_every_answer_fits(self):
        client.check_complete(self, [self.c], ["Sets"])


if __name__ == "__main__":
    MIEN = os.path.abspath(sys.argv.pop(1))
    unittest.main(argv=[sys.argv[0], "-f"] + sys.argv[1:])
