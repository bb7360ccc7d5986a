#!/usr/bin/env python3
"""Evaluations and calibrations from outside: what a set, a list of pairs and a table of scores come to, against the same figures of
`mien eval`; what is refused, and in which words; a collection's calibration kept, in force, and taken back.

    tests/http/evaluate.py build/release/mien
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from urllib.parse import quote

import client
from client import Client, Server, file_of, sample

MIEN = None
PEOPLE = 12


def wrong(person, picture):
    """One picture of person 1 lies with person 2, as a label at fault would have it."""
    return 1 if (person, picture) == (2, 3) else person


class Evaluate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.doc = client.description()
        cls.server = Server(MIEN).start()
        cls.c = Client(cls.server, doc=cls.doc)
        cls.set = cls.fill(cls.c, "people")
        cls.folder = tempfile.TemporaryDirectory()
        for person in range(1, PEOPLE + 1):
            os.makedirs(os.path.join(cls.folder.name, "person-%02d" % person))
            for k in range(4):
                name, data = sample(wrong(person, k), k)
                with open(os.path.join(cls.folder.name, "person-%02d" % person, name), "wb") as f:
                    f.write(data)
        with open(os.path.join(cls.folder.name, "person-01", "none.jpg"), "wb") as f:
            f.write(file_of("samples", "no-face", "1.jpg")[1])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()
        code, err = cls.server.stop()
        assert code in (0, -15), (code, err)

    @classmethod
    def fill(cls, c, name, people=PEOPLE, empty=True):
        id = c.post("/v1/sets", body={"name": name}).json["id"]
        pictures = [("person-%02d/%s" % (p, sample(wrong(p, k), k)[0]), sample(wrong(p, k), k)[1]) for p in range(1, people + 1) for k in range(4)]
        if empty:
            pictures.append(("person-01/none.jpg", file_of("samples", "no-face", "1.jpg")[1]))
        for path, data in pictures:
            a = c.post("/v1/sets/%s/pictures?path=%s" % (id, quote(path)), data=data, headers={"Content-Type": "image/jpeg"})
            assert a.status == 201, a.body
        return id

    def wait(self, a, c=None):
        self.assertEqual(a.status, 202, a.body)
        self.assertEqual(a.headers["Location"], "/v1/jobs/" + a.json["id"])
        for _ in range(600):
            job = (c or self.c).get("/v1/jobs/" + a.json["id"]).json
            if job["state"] not in ("queued", "running"):
                return job
            time.sleep(0.05)
        self.fail("the job does not end")

    def done(self, a):
        job = self.wait(a)
        self.assertEqual((job["state"], job["error"]), ("done", None), job)
        return job

    def eval(self, path="/v1/eval", **body):
        return self.done(self.c.post(path, body=body))

    def mien(self, *args):
        r = subprocess.run([MIEN, *args], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        return json.loads(r.stdout)

    # ---- figures ----

    def test_a_set_comes_to_what_the_program_says(self):
        job = self.eval(set=self.set, pictures=True)
        r, want = job["result"], self.mien("eval", "folder", self.folder.name, "-q", "-f", "json")
        self.assertEqual(job["kind"], "eval")
        self.assertEqual((r["mode"], r["kind"], r["data"], r["set"]), ("verify", "folder", "people", self.set))
        for key in ("pairs", "mated", "nonmated", "failed_pairs", "images", "failures_to_detect", "people", "intervals", "total_mated"):
            self.assertEqual(r[key], want[key], key)
        for key in ("threshold", "auc", "eer", "accuracy", "precision", "recall", "f1"):
            self.assertAlmostEqual(r[key], want[key], places=8, msg=key)
        self.assertEqual(r["at_threshold"]["fp"], want["at_threshold"]["fp"])
        self.assertEqual(r["at_threshold"]["source"], want["at_threshold"]["source"])
        self.assertEqual(r["curves"]["nonmated"], want["curves"]["nonmated"])
        self.assertNotIn("scores", r)
        self.assertEqual(r["no_face"], {"count": 1, "paths": ["person-01/none.jpg"]})
        # the label at fault stands among the errors, with faces that can be looked at
        worst = r["false_matches"][0]
        self.assertIn("person-02/4.jpg", (worst["a"], worst["b"]))
        self.assertTrue(any("person-02/4.jpg" in (e["a"], e["b"]) for e in r["false_nonmatches"]))
        for face in (worst["face_a"], worst["face_b"]):
            self.assertEqual(self.c.get("/v1/sets/%s/faces/%d" % (self.set, face)).body[:2], b"\xff\xd8")

        files = {f["name"]: f for f in job["files"]}
        self.assertEqual(sorted(files), ["figures.json", "report.html"])
        report = self.c.get("/v1/jobs/%s/files/report.html" % job["id"])
        self.assertEqual((report.status, report.type), (200, "text/html"))
        self.assertIn(b"data:image/jpeg;base64,", report.body)
        self.assertNotIn(b"<script", report.body)
        kept = json.loads(self.c.get("/v1/jobs/%s/files/figures.json" % job["id"]).body)
        self.assertEqual(kept["scores"], want["scores"])

    def test_faces_are_in_the_report_only_when_asked_for(self):
        job = self.eval(set=self.set)
        self.assertNotIn(b"data:image/jpeg", self.c.get("/v1/jobs/%s/files/report.html" % job["id"]).body)

    def test_a_rate_chooses_the_threshold(self):
        strict, loose = (self.eval(set=self.set, fmr=fmr)["result"]["at_threshold"] for fmr in (1e-5, 1e-2))
        self.assertGreater(strict["threshold"], loose["threshold"])
        self.assertIn("FMR of 1e-05", strict["source"])
        job = self.wait(self.c.post("/v1/eval", body={"set": self.set, "fmr": 1e-8}))
        self.assertEqual(job["state"], "failed")
        self.assertTrue(job["error"]["message"])

    def test_fewer_pairs_are_a_sample(self):
        r = self.eval(set=self.set, max_pairs=50)["result"]
        self.assertEqual(r["pairs"], 100)
        self.assertGreater(r["total_nonmated"], 1000)

    def test_pairs_of_a_list(self):
        csv = "a,b,mated\nperson-03/1.jpg,person-03/2.jpg,1\npeople/person-04/1.jpg,person-04/2.jpg,1\nperson-03/1.jpg,person-04/1.jpg,0\nperson-05/1.jpg,nobody/1.jpg,0\n"
        r = self.eval(set=self.set, pairs=csv)["result"]
        self.assertEqual((r["kind"], r["pairs"], r["mated"], r["bad_rows"]), ("pairs", 3, 2, 1))
        self.assertEqual(r["bad_row_list"], [{"line": 0, "why": "nobody/1.jpg is no picture of the set"}])
        self.assertEqual((r["accuracy"], r["at_threshold"]["fp"], r["at_threshold"]["fn"]), (1, 0, 0))
        # folders tell where the list does not, a file does as well
        untold = "a,b\nperson-03/1.jpg,person-03/2.jpg\nperson-03/1.jpg,person-04/1.jpg\n"
        job = self.done(self.c.post("/v1/eval", form=[("set", self.set), ("pairs", ("list.csv", untold.encode()))]))
        self.assertEqual((job["result"]["mated"], job["result"]["nonmated"], job["args"]["pairs"]), (1, 1, "list.csv"))
        # what the list says is believed, not the folder
        told = "a,b,mated\nperson-02/4.jpg,person-01/1.jpg,1\nperson-02/4.jpg,person-02/1.jpg,0\n"
        self.assertEqual(self.eval(set=self.set, pairs=told)["result"]["accuracy"], 1)

        for text, words in (("a,b\nx/1.jpg,y/1.jpg\n", "no pair of the list"), ("left,score\n1,2\n", "no two columns of pictures"), ("\n", "no row")):
            job = self.wait(self.c.post("/v1/eval", body={"set": self.set, "pairs": text}))
            self.assertEqual((job["state"], job["error"]["code"]), ("failed", "DATA_UNUSABLE"), job)
            self.assertIn(words, job["error"]["message"])

    def test_scores_of_any_matcher(self):
        rows = [(0.9, 1), (0.8, 1), (0.7, 1), (0.4, 1), (0.1, 0), (0.3, 0), (0.2, 0), (0.75, 0)]
        csv = "score,mated\n" + "".join("%g,%d\n" % r for r in rows) + "nothing,1\n"
        r = self.eval(scores=csv, matcher="theirs", threshold=0.5)["result"]
        self.assertEqual((r["mode"], r["kind"], r["model"], r["mated"], r["nonmated"], r["bad_rows"]), ("scores", "scores", "theirs", 4, 4, 1))
        self.assertEqual((r["at_threshold"]["fp"], r["at_threshold"]["fn"], r["accuracy"]), (1, 1, 0.75))
        self.assertEqual(r["bad_row_list"], [{"line": 10, "why": "the score is not a number"}])
        turned = "distance,mated\n" + "".join("%g,%d\n" % (1 - s, m) for s, m in rows)
        lower = self.done(self.c.post("/v1/eval", form=[("scores", ("d.csv", turned.encode())), ("direction", "lower")]))
        self.assertTrue(lower["result"]["lower_is_alike"])
        self.assertEqual((lower["result"]["auc"], lower["args"]["name"]), (r["auc"], "d.csv"))
        job = self.wait(self.c.post("/v1/eval", body={"scores": "score,mated\n0.5,1\n"}))
        self.assertEqual((job["state"], job["error"]["code"]), ("failed", "DATA_UNUSABLE"))

    def test_searches_among_half_of_the_set(self):
        job = self.eval(set=self.set, mode="identify")
        r = job["result"]
        self.assertEqual((r["mode"], r["against"], r["people"]), ("identify", "set", PEOPLE // 2))
        # of four pictures two are enrolled and two searched with; the picture without a face is searched with in vain
        self.assertEqual((r["mated"], r["nonmated"], r["failed_mated"]), (PEOPLE + 1, 4 * PEOPLE // 2, 1))
        self.assertGreater(r["rank1"], 0.9)
        self.assertEqual(len(r["cmc"]), 20)
        self.assertEqual(sum(r["curves"]["nonmated"]), r["nonmated"])
        # the picture of person 1 in the folder of person 2, who is no one enrolled, finds person 1
        self.assertEqual([(e["path"], e["found"]["name"]) for e in r["false_positives"]], [("person-02/4.jpg", "person-01")])
        self.assertEqual(self.c.get("/v1/sets/%s/faces/%d" % (self.set, r["false_positives"][0]["found"]["face"])).status, 200)
        self.assertIn("report.html", [f["name"] for f in job["files"]])
        strict = self.eval(set=self.set, mode="identify", fpir=1e-4)["result"]
        self.assertGreaterEqual(strict["threshold"], r["threshold"])

    def test_searches_in_the_collection(self):
        c = self.c
        self.assertEqual(c.post("/v1/collections", body={"name": "office"}).status, 201)
        job = self.wait(c.post("/v1/eval?collection=office", body={"set": self.set, "mode": "identify", "against": "collection"}))
        self.assertEqual(job["error"], {"code": "DATA_UNUSABLE", "message": "nobody is in the collection"})
        ids = {}
        for p in (3, 4, 5):
            a = c.post("/v1/people?collection=office", form=[("name", "person-%02d" % p), ("file", sample(p, 0))])
            ids["person-%02d" % p] = a.json["person"]
        r = self.eval("/v1/eval?collection=office", set=self.set, mode="identify", against="collection")["result"]
        self.assertEqual((r["against"], r["people"], r["mated"], r["nonmated"]), ("collection", 3, 12, 4 * (PEOPLE - 3) + 1))
        self.assertEqual((r["fpir"], r["fnir"], r["false_positives"], r["misses"]), (0, 0, [], []))
        # who has another's name is missed, and the page is told whom they look like
        c.call("PATCH", "/v1/people/%d?collection=office" % ids["person-03"], body={"name": "person-07"})
        r = self.eval("/v1/eval?collection=office", set=self.set, mode="identify", against="collection")["result"]
        self.assertEqual(r["misses"][0]["right"]["person"], ids["person-03"])
        self.assertEqual(r["false_positives"][0]["found"]["name"], "person-07")

    # ---- what is refused ----

    def test_refusals(self):
        c = self.c
        for body in ({}, {"set": ""}, {"set": self.set, "mode": "guess"}, {"set": self.set, "mode": "identify", "against": "all"}, {"set": self.set, "max_pairs": 0},
                     {"set": self.set, "fmr": 2}, {"set": self.set, "mode": "identify", "fpir": 0}, {"scores": "x", "direction": "up"}, {"scores": "x", "threshold": "high"}):
            a = c.post("/v1/eval", body=body)
            self.assertEqual((a.status, a.code), (400, "BAD_ARGUMENT"), (body, a.body))
        for path in ("/v1/eval", "/v1/calibrate"):
            self.assertEqual(c.post(path, body={"set": "0" * 16}).code, "NOT_FOUND")
            self.assertEqual(c.post(path + "?collection=none", body={"set": self.set}).code, "NO_COLLECTION")
        self.assertEqual(c.post("/v1/calibrate", body={}).code, "BAD_ARGUMENT")
        self.assertEqual(c.post("/v1/calibrate", body={"set": self.set, "fmr": 1}).code, "BAD_ARGUMENT")
        empty = c.post("/v1/sets", body={}).json["id"]
        job = self.wait(c.post("/v1/eval", body={"set": empty}))
        self.assertEqual((job["state"], job["error"]["message"]), ("failed", "the set holds no picture"))

    def test_a_set_of_one_person_says_what_is_missing(self):
        id = self.c.post("/v1/sets", body={}).json["id"]
        for k in range(2):
            self.c.post("/v1/sets/%s/pictures?path=Ann/%d.jpg" % (id, k), data=sample(1, k)[1], headers={"Content-Type": "image/jpeg"})
        for body in ({}, {"mode": "identify"}):
            job = self.wait(self.c.post("/v1/eval", body=dict(set=id, **body)))
            self.assertEqual((job["state"], job["error"]["code"]), ("failed", "DATA_UNUSABLE"), job)

    def test_only_keys_that_administer(self):
        a = self.c.post("/v1/keys", body={"name": "enrols", "scopes": "read,recognise,enrol"})
        low = Client(self.server, a.json["token"], self.doc)
        for method, path in (("POST", "/v1/eval"), ("POST", "/v1/calibrate"), ("POST", "/v1/collections/default/calibration"), ("DELETE", "/v1/collections/default/calibration")):
            self.assertEqual(low.call(method, path, body={"set": self.set}).code, "NOT_ALLOWED")
        self.assertEqual(low.get("/v1/collections/default/calibration").status, 200)
        self.c.post("/v1/collections", body={"name": "theirs"})
        a = self.c.post("/v1/keys", body={"name": "of one", "scopes": "admin", "collection": "theirs"})
        other = Client(self.server, a.json["token"], self.doc)
        self.assertEqual(other.get("/v1/collections/theirs/calibration").status, 200)
        for method in ("GET", "POST", "DELETE"):
            self.assertEqual(other.call(method, "/v1/collections/default/calibration", body=None if method == "GET" else {"job": "x"}).code, "NOT_ALLOWED")
        self.assertEqual(other.post("/v1/eval", body={"set": self.set}).code, "NOT_FOUND")  # somebody else's set

    # ---- calibrating ----

    def test_calibration(self):
        c = self.c
        clean = self.fill(c, "clean", empty=False)
        c.call("DELETE", "/v1/sets/%s" % self.fill(c, "gone", people=1))
        c.post("/v1/collections", body={"name": "plain"})
        before = c.get("/v1/collections/default/calibration").json
        self.assertFalse(before["own"])
        self.assertIsNone(before["search"])
        c.post("/v1/people", form=[("name", "Ada"), ("file", sample(9, 0))])
        self.assertEqual(c.get("/v1/collections/default/calibration").json["search"]["people"], 1)

        job = self.eval("/v1/calibrate", set=self.set)
        r = job["result"]
        self.assertEqual((job["kind"], r["collection"], r["before_own"], r["curve"]["own"], r["curve"]["people"], r["curve"]["pictures"]),
                         ("calibrate", "default", False, True, PEOPLE, 4 * PEOPLE))
        self.assertEqual([t["fmr"] for t in r["thresholds"]], [0.1, 0.01, 0.001, 1e-4, 1e-5, 1e-6])
        self.assertTrue(r["thresholds"][0]["now"] and r["thresholds"][0]["before"])
        self.assertIsNone(r["thresholds"][5]["now"])
        self.assertTrue(r["searches"][0]["collection"] and r["searches"][0]["people"] == 1)
        self.assertEqual(r["no_face"]["count"], 1)
        kept = json.loads(c.get("/v1/jobs/%s/files/calibration.json" % job["id"]).body)
        self.assertEqual(kept["format"], "mien-curve-1")
        want = self.mien("calibrate", "--data", self.folder.name, "-q", "-f", "json")["calibration"]
        for a, b in zip(kept["points"], want["points"], strict=True):
            self.assertAlmostEqual(a["threshold"], b["threshold"], places=6)

        # too few for the rate wanted: the library's own sentence
        few = self.wait(c.post("/v1/calibrate", body={"set": clean, "fmr": 1e-6}))
        self.assertEqual((few["state"], few["error"]["code"]), ("failed", "DATA_UNUSABLE"))
        self.assertIn("the best claim is", few["error"]["message"])

        # kept: in force at once, in the file, in the audit, and gone again
        now = c.post("/v1/collections/default/calibration", body={"job": job["id"]})
        self.assertEqual((now.status, now.json["own"], now.json["people"]), (200, True, PEOPLE), now.body)
        self.assertEqual(now.json["scores"], r["scores"])
        self.assertEqual((sum(r["scores"]["mated"]), sum(r["scores"]["nonmated"])), (r["curve"]["mated"], r["curve"]["nonmated"]))
        self.assertNotEqual(now.json["search"]["threshold"], before["points"][0]["threshold"])
        found = c.post("/v1/identify", form=[("file", sample(9, 1))]).json["faces"][0]
        self.assertAlmostEqual(found["threshold"], now.json["search"]["threshold"], places=5)
        # decisions between two pictures too, where these few people support the rate; else the model's own holds
        pair = [("a", sample(9, 0)), ("b", sample(9, 1))]
        own, model = (c.post("/v1/compare?fmr=%g" % fmr, form=pair).json for fmr in (0.1, 0.001))
        self.assertAlmostEqual(own["threshold"], r["thresholds"][0]["now"]["value"], places=5)
        self.assertAlmostEqual(model["threshold"], r["thresholds"][2]["before"]["value"], places=5)
        self.assertTrue(own["same"] and model["same"] and own["fmr"] == 0.1)
        self.assertNotEqual(c.post("/v1/compare?fmr=0.1&collection=plain", form=pair).json["threshold"], own["threshold"])
        held = self.eval(set=self.set, fmr=0.1)["result"]["at_threshold"]
        self.assertEqual(held["source"], "the calibration of the collection default, at an FMR of 0.1")
        self.assertEqual(c.get("/v1/audit").json["entries"][-1]["action"], "set")
        self.assertTrue(self.eval("/v1/calibrate", set=self.set)["result"]["before_own"])
        back = c.call("DELETE", "/v1/collections/default/calibration").json
        self.assertEqual((back["own"], back["points"], back["scores"]), (False, before["points"], None))
        self.assertEqual(c.get("/v1/audit").json["entries"][-1]["action"], "unset")
        self.assertNotAlmostEqual(c.post("/v1/identify", form=[("file", sample(9, 1))]).json["faces"][0]["threshold"], found["threshold"], places=4)

        for body, code in (({}, "BAD_ARGUMENT"), ({"job": "0" * 16}, "NOT_FOUND"), ({"job": few["id"]}, "NOT_DONE")):
            self.assertEqual(c.post("/v1/collections/default/calibration", body=body).code, code)
        for method in ("GET", "POST", "DELETE"):
            self.assertEqual(c.call(method, "/v1/collections/none/calibration", body=None if method == "GET" else {"job": job["id"]}).code, "NO_COLLECTION")

    def test_a_calibration_outlives_the_server(self):
        with Server(MIEN) as server:
            c = Client(server, doc=self.doc)
            self.c, kept = c, self.c
            try:
                id = self.fill(c, "people", empty=False)
                job = self.eval("/v1/calibrate", set=id)
                self.assertEqual(c.post("/v1/collections/default/calibration", body={"job": job["id"]}).status, 200)
                server.stop()
                server.start()
                again = c.get("/v1/collections/default/calibration").json
                self.assertTrue(again["own"])
                # a job that ended before can still be applied
                self.assertEqual(c.post("/v1/collections/default/calibration", body={"job": job["id"]}).status, 200)
            finally:
                self.c = kept

    def test_zz_every_call_was_made_and_described(self):
        client.check_complete(self, [self.c], ["Evaluate"])


if __name__ == "__main__":
    MIEN = os.path.abspath(sys.argv.pop(1))
    unittest.main(argv=[sys.argv[0], "-f"] + sys.argv[1:])
