#!/usr/bin/env python3
"""CompreFace's interface from outside: every route of its clients, its parameters and shapes, its errors; then its own JavaScript
client where one is found.

    tests/http/compat.py build/release/mien

The client is @exadel/compreface-js-sdk: `npm install --prefix DIR @exadel/compreface-js-sdk`, then MIEN_COMPREFACE_SDK=DIR.
"""

import base64
import os
import shutil
import subprocess
import sys
import unittest
from urllib.parse import quote

import client
from client import Client, Server, file_of, sample

MIEN = None
R = "/api/v1/recognition"
NO_FACE = ("file", file_of("samples", "no-face", "1.jpg"))


class Caller(Client):
    """A client that sends its key as CompreFace's do."""

    def call(self, method, path, headers=None, key=True, **more):
        headers = dict(headers or {})
        if key:
            headers["x-api-key"] = self.key if key is True else key
        return super().call(method, path, headers=headers, key=False, **more)


class Compat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(MIEN).start()
        cls.c = Caller(cls.server)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.server.data)

    def setUp(self):
        self.assertEqual(self.c.call("DELETE", R + "/subjects").status, 200)

    def key(self, *options, text=None):
        out = subprocess.run([MIEN, "serve", "key", "test", "--data", self.server.data, *options], input=text, capture_output=True, text=True)
        return Caller(self.server, out.stdout.strip()) if out.returncode == 0 else out

    def add(self, name, person, picture=0):
        a = self.c.post(R + "/faces?subject=" + quote(name), form=[("file", sample(person, picture))])
        self.assertEqual((a.status, set(a.json)), (201, {"image_id", "subject"}), a.body)
        self.assertEqual(a.json["subject"], name)
        return a.json["image_id"]

    def error(self, a, status, code):
        self.assertEqual((a.status, set(a.json), a.json.get("code")), (status, {"message", "code"}, code), a.body)

    def box(self, box):
        self.assertEqual(set(box), {"probability", "x_min", "y_min", "x_max", "y_max"})
        self.assertTrue(0 < box["probability"] <= 1)
        self.assertTrue(box["x_min"] < box["x_max"] and box["y_min"] < box["y_max"])
        self.assertTrue(all(isinstance(box[k], int) for k in box if k != "probability"))

    # ---- subjects ----

    def test_subjects(self):
        c = self.c
        self.assertEqual(c.get(R + "/subjects").json, {"subjects": []})
        a = c.post(R + "/subjects", body={"subject": "Ada"})
        self.assertEqual((a.status, a.json), (201, {"subject": "Ada"}))
        self.error(c.post(R + "/subjects", body={"subject": "Ada"}), 400, 0)
        self.error(c.post(R + "/subjects", body={}), 400, 26)
        self.add("Ada", 1)
        self.add("Bob", 2)
        self.assertEqual(sorted(c.get(R + "/subjects").json["subjects"]), ["Ada", "Bob"])
        self.assertEqual(c.call("PUT", R + "/subjects/Ada", body={"subject": "Zoë"}).json, {"updated": True})
        self.assertEqual(sorted(c.get(R + "/subjects").json["subjects"]), ["Bob", "Zoë"])
        self.error(c.call("PUT", R + "/subjects/Nobody", body={"subject": "x"}), 404, 11)
        self.assertEqual(c.call("DELETE", R + "/subjects/Bob").json, {"subject": "Bob"})
        self.error(c.call("DELETE", R + "/subjects/Bob"), 404, 11)
        c.post(R + "/subjects", body={"subject": "Without a face"})
        self.assertEqual(c.call("DELETE", R + "/subjects").json, {"deleted": 2})
        self.assertEqual(c.get(R + "/subjects").json, {"subjects": []})

    def test_subject_without_a_face_is_renamed_and_removed(self):
        c = self.c
        c.post(R + "/subjects", body={"subject": "A"})
        self.assertEqual(c.call("PUT", R + "/subjects/A", body={"subject": "B"}).json, {"updated": True})
        self.assertEqual(c.get(R + "/subjects").json, {"subjects": ["B"]})
        self.add("B", 1)
        self.assertEqual(c.get(R + "/subjects").json, {"subjects": ["B"]})
        c.post(R + "/subjects", body={"subject": "C"})
        self.assertEqual(c.call("DELETE", R + "/subjects/C").json, {"subject": "C"})
        self.assertEqual(c.get(R + "/subjects").json, {"subjects": ["B"]})

    def test_renaming_onto_another_merges(self):
        self.add("Ada", 1, 0)
        self.add("Ada too", 1, 1)
        self.assertEqual(self.c.call("PUT", R + "/subjects/Ada%20too", body={"subject": "Ada"}).json, {"updated": True})
        self.assertEqual(self.c.get(R + "/subjects").json, {"subjects": ["Ada"]})
        self.assertEqual(self.c.get(R + "/faces?subject=Ada").json["total_elements"], 2)

    # ---- faces ----

    def test_faces_are_listed_by_page(self):
        ids = [self.add("Ada", 1, 0), self.add("Ada", 1, 1), self.add("Bob", 2, 0)]
        a = self.c.get(R + "/faces?page=0&size=2").json
        self.assertEqual(set(a), {"faces", "page_number", "page_size", "total_pages", "total_elements"})
        self.assertEqual((a["page_number"], a["page_size"], a["total_pages"], a["total_elements"]), (0, 2, 2, 3))
        b = self.c.get(R + "/faces?page=1&size=2").json
        self.assertEqual([f["image_id"] for f in a["faces"] + b["faces"]], ids)
        self.assertEqual(self.c.get(R + "/faces?subject=Bob").json["faces"], [{"image_id": ids[2], "subject": "Bob"}])
        self.assertEqual(self.c.get(R + "/faces?subject=Nobody").json["faces"], [])
        self.error(self.c.get(R + "/faces?page=x"), 400, 26)

    def test_faces_are_added_as_file_and_as_text(self):
        text = base64.b64encode(sample(3, 0)[1]).decode()
        a = self.c.post(R + "/faces?subject=Cy&det_prob_threshold=0.5", body={"file": text})
        self.assertEqual((a.status, a.json["subject"]), (201, "Cy"), a.body)
        post = lambda *form: self.c.post(R + "/faces?subject=Cy", form=list(form))
        self.error(post(NO_FACE), 400, 28)
        self.error(post(("file", file_of("samples", "group.jpg"))), 400, 31)
        self.error(post(("file", ("a.jpg", b"no picture at all"))), 400, 21)
        self.error(post(("other", "x")), 400, 33)
        self.error(self.c.post(R + "/faces", form=[("file", sample(3, 1))]), 400, 26)
        self.error(self.c.post(R + "/faces?subject=Cy&det_prob_threshold=2", form=[("file", sample(3, 1))]), 400, 26)

    def test_faces_are_removed(self):
        ids = [self.add("Ada", 1, i) for i in range(4)] + [self.add("Bob", 2, 0)]
        self.assertEqual(self.c.call("DELETE", R + "/faces/" + ids[0]).json, {"image_id": ids[0], "subject": "Ada"})
        self.error(self.c.call("DELETE", R + "/faces/" + ids[0]), 404, 11)
        self.error(self.c.call("DELETE", R + "/faces/6b135f5b-a365-4522-b1f1-4c9ac2dd0728"), 404, 11)
        gone = self.c.post(R + "/faces/delete", body=[ids[1], ids[0], "nonsense"])
        self.assertEqual(gone.json, [{"image_id": ids[1], "subject": "Ada"}])
        self.assertEqual(self.c.call("DELETE", R + "/faces?subject=Ada").json, {"deleted": 2})
        self.assertEqual(self.c.call("DELETE", R + "/faces").json, {"deleted": 1})
        self.assertEqual(self.c.get(R + "/faces").json["total_elements"], 0)

    def test_pictures_come_back_by_both_links(self):
        name, data = sample(1, 0)
        one = self.add("Ada", 1, 0)
        a = self.c.get(R + "/faces/%s/img" % one)
        self.assertEqual((a.status, a.type, a.body), (200, "image/jpeg", data))
        b = self.c.get("/api/v1/static/%s/images/%s" % (self.server.key, one), key=False)
        self.assertEqual((b.status, b.body), (200, data))
        wrong = "mien_1_" + "A" * 43
        self.error(self.c.get("/api/v1/static/%s/images/%s" % (wrong, one), key=False), 401, 10)
        self.error(self.c.get("/api/v1/static/%s/images/%s" % (wrong, one)), 401, 10)
        only = self.key("--scopes", "recognise")
        self.error(self.c.get("/api/v1/static/%s/images/%s" % (only.key, one), key=False), 403, 32)

    # ---- recognising ----

    def test_recognize(self):
        self.add("Ada", 1, 0)
        self.add("Bob", 2, 0)
        a = self.c.post(R + "/recognize?limit=0&prediction_count=2&det_prob_threshold=0.5", form=[("file", sample(1, 2))]).json
        self.assertEqual(set(a), {"result"})
        (face,) = a["result"]
        self.assertEqual(set(face), {"box", "subjects"})
        self.box(face["box"])
        self.assertEqual(face["subjects"][0]["subject"], "Ada")
        self.assertTrue(0.5 <= face["subjects"][0]["similarity"] <= 1)
        text = self.c.post(R + "/recognize", body={"file": base64.b64encode(sample(1, 2)[1]).decode()}).json
        self.assertEqual(text["result"][0]["subjects"][0], face["subjects"][0])
        self.error(self.c.post(R + "/recognize", form=[NO_FACE]), 400, 28)
        group = self.c.post(R + "/recognize", form=[("file", file_of("samples", "group.jpg"))]).json["result"]
        self.assertEqual(len(group), 5)
        two = self.c.post(R + "/recognize?limit=2", form=[("file", file_of("samples", "group.jpg"))]).json["result"]
        self.assertEqual(len(two), 2)

    def test_plugins_and_status(self):
        self.add("Ada", 1, 0)
        a = self.c.post(R + "/recognize?face_plugins=landmarks,pose,calculator,age,gender,mask&status=true",
                        form=[("file", sample(1, 2))]).json
        self.assertEqual(set(a), {"result", "plugins_versions"})
        self.assertEqual(set(a["plugins_versions"]), {"detector", "calculator"})
        (face,) = a["result"]
        self.assertEqual(set(face), {"box", "subjects", "landmarks", "pose", "embedding", "execution_time"})
        self.assertEqual([len(p) for p in face["landmarks"]], [2] * 5)
        self.assertEqual(set(face["pose"]), {"pitch", "roll", "yaw"})
        self.assertAlmostEqual(sum(x * x for x in face["embedding"]), 1, places=4)
        plain = self.key("--scopes", "read,recognise,enrol")
        self.error(plain.post(R + "/recognize?face_plugins=calculator", form=[("file", sample(1, 2))]), 403, 32)

    def test_strangers_are_nobody_unless_the_key_wants_the_nearest(self):
        self.add("Ada", 1, 0)
        stranger = [("file", sample(7, 0))]
        self.assertEqual(self.c.post(R + "/recognize", form=stranger).json["result"][0]["subjects"], [])
        near = self.key("--scopes", "recognise", "--nearest").post(R + "/recognize", form=stranger).json["result"][0]["subjects"]
        self.assertEqual(near[0]["subject"], "Ada")
        self.assertLess(near[0]["similarity"], 0.5)

    def test_verify_a_saved_face(self):
        one = self.add("Ada", 1, 0)
        a = self.c.post(R + "/faces/%s/verify" % one, form=[("file", sample(1, 2))]).json["result"]
        self.assertEqual(set(a[0]), {"box", "subject", "similarity"})
        self.box(a[0]["box"])
        self.assertEqual(a[0]["subject"], "Ada")
        self.assertGreater(a[0]["similarity"], 0.5)
        self.assertLess(self.c.post(R + "/faces/%s/verify" % one, form=[("file", sample(2, 2))]).json["result"][0]["similarity"], 0.5)
        self.error(self.c.post(R + "/faces/%s/verify" % (one[:-1] + "f"), form=[("file", sample(2, 2))]), 404, 11)

    def test_detect(self):
        a = self.c.post("/api/v1/detection/detect?face_plugins=landmarks", form=[("file", file_of("samples", "group.jpg"))]).json
        self.assertEqual(len(a["result"]), 5)
        for face in a["result"]:
            self.assertEqual(set(face), {"box", "landmarks"})
            self.box(face["box"])
        self.error(self.c.post("/api/v1/detection/detect", form=[NO_FACE]), 400, 28)

    def test_verify_two(self):
        form = [("source_image", sample(1, 0)), ("target_image", sample(1, 1))]
        a = self.c.post("/api/v1/verification/verify?face_plugins=landmarks&status=true", form=form).json
        (r,) = a["result"]
        self.assertEqual(set(r), {"source_image_face", "face_matches"})
        self.box(r["source_image_face"]["box"])
        self.box(r["face_matches"][0]["box"])
        self.assertIn("landmarks", r["face_matches"][0])
        self.assertGreater(r["face_matches"][0]["similarity"], 0.5)
        text = lambda p: base64.b64encode(p[1]).decode()
        b = self.c.post("/api/v1/verification/verify", body={"source_image": text(sample(1, 0)), "target_image": text(sample(2, 0))}).json
        self.assertLess(b["result"][0]["face_matches"][0]["similarity"], 0.5)
        self.error(self.c.post("/api/v1/verification/verify", form=[form[0], ("target_image", NO_FACE[1])]), 400, 28)

    def test_embeddings(self):
        one = self.add("Ada", 1, 0)
        self.add("Bob", 2, 0)
        vec = lambda p, i: self.c.post("/api/v1/detection/detect?face_plugins=calculator", form=[("file", sample(p, i))]).json["result"][0]["embedding"]
        ada, bob = vec(1, 2), vec(2, 2)
        a = self.c.post(R + "/embeddings/recognize?prediction_count=1", body={"embeddings": [ada, bob]}).json["result"]
        self.assertEqual([set(r) for r in a], [{"embedding", "similarities"}] * 2)
        self.assertEqual([r["similarities"][0]["subject"] for r in a], ["Ada", "Bob"])
        b = self.c.post(R + "/embeddings/faces/%s/verify" % one, body={"embeddings": [ada, bob]}).json["result"]
        self.assertEqual([set(r) for r in b], [{"embedding", "similarity"}] * 2)
        self.assertTrue(b[0]["similarity"] > 0.5 > b[1]["similarity"])
        d = self.c.post("/api/v1/verification/embeddings/verify", body={"source": ada, "targets": [ada, bob]}).json["result"]
        self.assertGreater(d[0]["similarity"], 0.99)
        self.assertLess(d[1]["similarity"], 0.5)
        self.error(self.c.post(R + "/embeddings/recognize", body={"embeddings": [[1, 2, 3]]}), 400, 26)

    # ---- keys ----

    def test_keys(self):
        for method, path in (("GET", R + "/subjects"), ("POST", R + "/recognize"), ("POST", "/api/v1/detection/detect")):
            self.error(self.c.call(method, path, key=False), 401, 10)
            self.error(self.c.call(method, path, key="mien_1_" + "A" * 43), 401, 10)
        bearer = Client.call(self.c, "GET", R + "/subjects", headers={"Authorization": "Bearer " + self.server.key}, key=False)
        self.error(bearer, 401, 10)
        reader = self.key("--scopes", "read")
        self.error(reader.post(R + "/subjects", body={"subject": "x"}), 403, 32)

    def test_a_key_of_the_old_server_is_adopted(self):
        token = "b97fbc0a-518a-4b1d-a93a-581b1d3814cc"
        self.error(self.c.get(R + "/subjects", key=token), 401, 10)
        old = self.key("--scopes", "read", "--adopt", "-", text=token + "\n")
        self.assertEqual(old.key, token)
        self.assertEqual(old.get(R + "/subjects").status, 200)
        self.assertEqual(self.key("--adopt", token).returncode, 3)  # twice
        self.assertEqual(self.key("--adopt", "short").returncode, 3)

    # ---- its own client ----

    def test_javascript_client(self):
        folder = os.environ.get("MIEN_COMPREFACE_SDK")
        if not folder or not shutil.which("node"):
            self.skipTest("MIEN_COMPREFACE_SDK names no folder with @exadel/compreface-js-sdk, or there is no node")
        out = subprocess.run(["node", os.path.join(client.ROOT, "tests", "http", "compreface.mjs"), folder, "http://%s" % self.server.host,
                              str(self.server.port), self.server.key, os.path.join(client.ROOT, "samples")],
                             capture_output=True, text=True, timeout=120)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        self.assertIn("calls succeeded", out.stdout)


if __name__ == "__main__":
    MIEN = os.path.abspath(sys.argv.pop(1))
    unittest.main(argv=[sys.argv[0]] + sys.argv[1:])
