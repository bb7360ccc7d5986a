#!/usr/bin/env python3
"""Training from outside: counted, previewed, run on a set and on a collection, stopped, refused; what a run leaves behind and what not.

    tests/http/train.py build/release/mien
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

import client
import schema
from client import Client, Server, file_of, sample

MIEN = None
QUICK = {"epochs": 2, "tune": "head", "batch": 8}


class Train(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.doc = client.description()
        cls.server = Server(MIEN).start()
        cls.c = Client(cls.server, doc=cls.doc)
        cls.set = cls.fill(range(1, 13), 3)
        for i in range(1, 9):
            form = [("name", 'Person "%d",\n' % i), ("keep_images", "0" if i == 8 else "1"), ("file", sample(i, 0)), ("file1", sample(i, 1))]
            a = cls.c.post("/v1/people", form=form)
            assert a.status == 201, a.body

    @classmethod
    def tearDownClass(cls):
        code, err = cls.server.stop()
        assert code in (0, -15), (code, err)

    @classmethod
    def fill(cls, people, pictures, strays=()):
        id = cls.c.post("/v1/sets", body={"name": "people"}).json["id"]
        send = lambda path, picture: cls.c.post("/v1/sets/%s/pictures?path=%s" % (id, path), data=picture[1], headers={"Content-Type": "image/jpeg"})
        for i in people:
            for k in range(pictures):
                assert send("P%02d/%d.jpg" % (i, k), sample(i, k)).status == 201
        for path, picture in strays:
            assert send(path, picture).status == 201
        return id

    def key(self, scopes, **more):
        return Client(self.server, self.c.post("/v1/keys", body=dict(name="test " + scopes, scopes=scopes, **more)).json["token"], self.doc)

    def start(self, path="/v1/train", **body):
        a = self.c.post(path, body=body)
        self.assertEqual(a.status, 202, a.body)
        return a.json["id"]

    def wait(self, id, until=lambda j: j["state"] not in ("queued", "running")):
        end = time.time() + 240
        while time.time() < end:
            j = self.c.get("/v1/jobs/" + id).json
            if until(j):
                return j
            time.sleep(0.05)
        self.fail("the job does not end: %s" % j)

    def nothing_left(self):
        work = os.path.join(self.server.data, "work")
        self.assertEqual(os.listdir(work) if os.path.isdir(work) else [], [], "crops were left behind")

    # ---- before a run ----

    def test_material_is_counted(self):
        m = self.c.get("/v1/train/material?set=" + self.set).json
        self.assertEqual((m["people"], m["people_twice"], m["pictures"], m["held_out"], m["enough"], m["can_show"]), (12, 12, 36, 6, True, True))
        m = self.c.get("/v1/train/material").json
        self.assertEqual((m["people"], m["people_twice"], m["pictures"], m["people_left_out"], m["held_out"]), (7, 7, 14, 1, 3), m)
        self.assertTrue(m["enough"] and not m["can_show"])
        self.assertIn("cannot show", m["text"])
        odd = self.fill((1, 2), 1, [("stray.jpg", sample(3, 0)), ("P01/none.jpg", file_of("samples", "no-face", "1.jpg"))])
        m = self.c.get("/v1/train/material?set=" + odd).json
        self.assertEqual((m["people"], m["people_twice"], m["pictures"], m["pictures_left_out"], m["enough"]), (2, 0, 2, 2, False), m)
        self.assertIn("at least 4 people", m["text"])
        a = self.c.post("/v1/train", body={"set": odd})
        self.assertEqual((a.status, a.code), (422, "DATA_UNUSABLE"))
        self.assertIn("with two pictures each", a.json["error"]["message"])
        self.assertEqual(self.c.post("/v1/train/preview", body={"set": self.fill((), 0)}).code, "DATA_UNUSABLE")

    def test_preview_is_a_picture(self):
        for body in ({"set": self.set}, {"augment": "none,blur=3"}):
            a = self.c.post("/v1/train/preview", body=body)
            self.assertEqual((a.status, a.type, a.body[:2]), (200, "image/jpeg", b"\xff\xd8"), body)
        one, other = (self.c.post("/v1/train/preview", body={"set": self.set, "augment": how}).body for how in ("none", "none,grey=1"))
        self.assertNotEqual(one, other)
        self.nothing_left()

    def test_what_makes_no_sense_is_refused(self):
        for bad in ({"epochs": 0}, {"epochs": "x"}, {"lr": 0}, {"lr": 2}, {"batch": 1}, {"loss": "l2"}, {"tune": "tail"}, {"tune": "last:0"},
                    {"tune": "last:2x"}, {"augment": "wobble=1"}, {"augment": "flip=2"}, {"seed": -1}, {"threads": 0}):
            for path in ("/v1/train", "/v1/train/preview"):
                a = self.c.post(path, body=dict(bad, set=self.set))
                self.assertEqual((a.status, a.code), (400, "BAD_ARGUMENT"), bad)
        self.assertIn("wobble", self.c.post("/v1/train", body={"augment": "wobble=1"}).json["error"]["message"])
        for set in ("0" * 16, "../x", ""):
            self.assertEqual(self.c.post("/v1/train", body={"set": set}).code, "NOT_FOUND")
            self.assertEqual(self.c.get("/v1/train/material?set=" + set).code, "NOT_FOUND")
        self.assertEqual(self.c.get("/v1/train/material?collection=none").code, "NOT_FOUND")
        self.assertEqual(self.c.get("/v1/jobs?kind=train&x").json["jobs"], [j for j in self.c.get("/v1/jobs").json["jobs"] if j["kind"] == "train"])

    def test_only_a_key_that_administers_trains(self):
        own = self.key("admin", collection="default")
        self.assertEqual(own.get("/v1/train/material").status, 200)
        self.assertEqual(own.get("/v1/train/material?collection=guests").status, 403)
        self.assertEqual(own.get("/v1/train/material?set=" + self.set).code, "NOT_FOUND", "a key sees another's set")
        self.assertEqual(own.post("/v1/train", body={"set": self.set}).code, "NOT_FOUND")
        for scopes in ("enrol", "read"):
            self.assertEqual(self.key(scopes).post("/v1/train", body={"set": self.set}).status, 403)

    # ---- runs ----

    def test_a_run_on_a_set(self):
        id = self.start(set=self.set, epochs=4, tune="last:4", loss="softmax", batch=8)
        phases, seen = [], []
        def watch(j):
            p = j["progress"]
            phases.append(p["phase"])
            seen.extend(os.listdir(os.path.join(self.server.data, "work")) if os.path.isdir(os.path.join(self.server.data, "work")) else [])
            return j["state"] not in ("queued", "running")
        j = self.wait(id, watch)
        self.assertEqual((j["state"], j["error"]), ("done", None), j)
        self.assertTrue(set(phases) <= {"waiting", "gathering", "reading", "embedding", "training", "validating", "comparing"}, set(phases))
        self.assertTrue(seen, "no crops were seen while it ran")
        self.nothing_left()
        self.fits(j["result"])
        r = j["result"]
        self.assertEqual((r["held_out_people"], r["held_out_pictures"], r["pictures"], r["people"], r["steps"]), (6, 18, 18, 12, 8), r)
        self.assertEqual([p["step"] for p in r["history"]["loss"]], list(range(1, 9)))
        self.assertEqual([(p["step"], p["epoch"]) for p in r["history"]["score"]], [(2, 1), (4, 2), (6, 3), (8, 4)])
        for name in ("before", "after"):
            rate = r[name]["fnmr_at_far_1e2"]
            self.assertTrue(0 <= rate["lo"] <= rate["value"] <= rate["hi"] <= 1, rate)
            self.assertIn("%.2f %% [%.2f, %.2f]" % tuple(100 * rate[k] for k in ("value", "lo", "hi")), r["summary"])
        self.assertLess(abs(r["after"]["fnmr_at_far_1e2"]["value"] - r["before"]["fnmr_at_far_1e2"]["value"] - r["change"]["value"]), 1e-5)
        self.files(j)

    def fits(self, result):
        self.assertEqual(schema.faults(self.doc, {"$ref": "#/components/schemas/TrainResult"}, result), [])

    def files(self, j):
        """The model is one that the program takes, and embeds otherwise than the old one; the report holds no picture."""
        self.assertEqual([f["name"] for f in j["files"]], ["model.mien", "report.html"])
        model, report = (self.c.get("/v1/jobs/%s/files/%s" % (j["id"], f["name"])) for f in j["files"])
        self.assertEqual((model.status, len(model.body)), (200, j["files"][0]["bytes"]))
        self.assertTrue(report.type.startswith("text/html"))
        self.assertNotIn(b"data:image", report.body)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tuned.mien")
            with open(path, "wb") as f:
                f.write(model.body)
            picture = os.path.join(client.ROOT, "samples", "person-01", "1.jpg")
            run = lambda *more: subprocess.run([MIEN, "embed", *more, picture], capture_output=True, text=True, timeout=60)
            tuned, old = run("--model", path), run()
            self.assertEqual((tuned.returncode, old.returncode), (0, 0), tuned.stderr)
            self.assertNotEqual(tuned.stdout, old.stdout)
            info = subprocess.run([MIEN, "model", "info", path], capture_output=True, text=True, timeout=60)
            self.assertIn("-tuned", info.stdout)

    def test_a_run_on_a_collection(self):
        id = self.start(**QUICK)
        j = self.wait(id)
        self.assertEqual((j["state"], j["args"]["collection"], j["args"]["set"]), ("done", "default", None), j)
        self.fits(j["result"])
        self.assertEqual((j["result"]["people"], j["result"]["pictures"], j["result"]["held_out_people"], j["result"]["people_without_pictures"]),
                         (7, 8, 3, 1), j["result"])
        self.assertEqual(j["result"]["better"], 0)
        self.nothing_left()
        self.assertEqual(self.c.call("DELETE", "/v1/jobs/" + id).status, 204)
        self.assertFalse(os.path.exists(os.path.join(self.server.data, "jobs", id)))

    def test_the_same_seed_gives_the_same_model(self):
        ids = [self.start(set=self.set, seed=seed, **QUICK) for seed in (3, 3, 4)]
        models = [self.c.get("/v1/jobs/%s/files/model.mien" % self.wait(id)["id"]).body for id in ids]
        self.assertEqual(models[0], models[1])
        self.assertNotEqual(models[0], models[2])

    def test_stop(self):
        id = self.start(set=self.set, epochs=1000, batch=4)
        later = self.start(set=self.set, **QUICK)
        self.assertEqual(self.c.get("/v1/jobs/" + later).json["state"], "queued")
        j = self.wait(id, lambda j: j["progress"]["phase"] == "training" and j["progress"]["done"] > 2)
        self.assertGreater(len(j["progress"]["history"]["loss"]), 0)
        self.assertEqual((j["progress"]["epochs"], j["args"]["batch"]), (1000, 4))
        self.assertTrue(self.c.post("/v1/detect", form=[("file", sample(1, 0))]).json["faces"], "nobody is recognised beside a run")
        self.assertEqual(self.c.call("DELETE", "/v1/jobs/" + id).status, 202)
        j = self.wait(id)
        self.assertEqual((j["state"], j["error"]["code"], j["result"], j["files"]), ("stopped", "STOPPED", None, []), j)
        self.assertEqual(self.wait(later)["state"], "done")
        self.nothing_left()

    def test_a_run_that_fails_says_why(self):
        long = self.start(set=self.set, epochs=1000, batch=4)
        other = self.fill(range(1, 7), 2)
        id = self.start(set=other, **QUICK)
        self.assertEqual(self.c.call("DELETE", "/v1/sets/" + other).status, 204)
        self.assertEqual(self.c.call("DELETE", "/v1/jobs/%s?forget=1" % long).status, 202)
        j = self.wait(id)
        self.assertEqual((j["state"], j["error"]["code"], j["result"]), ("failed", "NOT_FOUND", None), j)
        self.nothing_left()

    def test_zx_a_server_that_stops_ends_its_run(self):
        id = self.start(set=self.set, epochs=1000, batch=4)
        self.wait(id, lambda j: j["progress"]["phase"] == "training")
        code, err = self.server.stop()
        self.assertIn(code, (0, -15), err)
        self.server.start()
        self.nothing_left()
        j = self.c.get("/v1/jobs/" + id).json
        self.assertEqual((j["state"], j["error"]["code"]), ("stopped", "STOPPED"), j)

    def test_zy_a_server_that_was_killed_leaves_no_crops(self):
        id = self.start(set=self.set, epochs=1000, batch=4)
        self.wait(id, lambda j: j["progress"]["phase"] == "training")
        work = os.path.join(self.server.data, "work")
        self.assertTrue(os.listdir(work))
        self.assertEqual(os.stat(os.path.join(work, os.listdir(work)[0])).st_mode & 0o077, 0, "others may read the crops")
        self.server.kill()
        self.server.start()
        self.nothing_left()
        j = self.c.get("/v1/jobs/" + id).json
        self.assertEqual((j["state"], j["error"]["code"]), ("stopped", "STOPPED"), j)

    def test_zz_every_call_was_made_and_every_answer_fits(self):
        client.check_complete(self, [self.c], ["Training"])


if __name__ == "__main__":
    MIEN = os.path.abspath(sys.argv.pop(1))
    unittest.main(argv=[sys.argv[0], "-f"] + sys.argv[1:])
