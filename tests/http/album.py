#!/usr/bin/env python3
"""Albums from outside: a set is grouped, named, corrected, taken back, enrolled; what makes no sense is refused.

    tests/http/album.py build/release/mien
"""

import json
import os
import sqlite3
import sys
import time
import unittest
from urllib.parse import quote

import client
import schema
from client import Client, Server, file_of, sample

MIEN = None


class Album(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.doc = client.description()
        cls.server = Server(MIEN).start()
        cls.c = Client(cls.server, doc=cls.doc)

    @classmethod
    def tearDownClass(cls):
        code, err = cls.server.stop()
        assert code in (0, -15), (code, err)

    def key(self, scopes, **more):
        a = self.c.post("/v1/keys", body=dict(name="test " + scopes, scopes=scopes, **more))
        self.assertEqual(a.status, 201, a.body)
        return Client(self.server, a.json["token"], self.doc)

    def album(self, people, pictures=3, extra=(), c=None):
        """A set of pictures NN/M.jpg of those people."""
        c = c or self.c
        id = c.post("/v1/sets", body={"name": "holidays"}).json["id"]
        files = [("%02d/%d.jpg" % (p, i), sample(p, i)) for p in people for i in range(pictures)]
        for path, picture in files + list(extra):
            a = c.post("/v1/sets/%s/pictures?path=%s" % (id, quote(path)), data=picture[1], headers={"Content-Type": "image/jpeg"})
            self.assertEqual(a.status, 201, a.body)
        return id

    def group(self, set, c=None, **more):
        """Group a set; the job's result."""
        c = c or self.c
        a = c.post("/v1/cluster", body=dict(set=set, **more))
        self.assertEqual((a.status, a.json and a.json["kind"]), (202, "cluster"), a.body)
        end = time.time() + 60
        while time.time() < end:
            job = c.get("/v1/jobs/" + a.json["id"]).json
            if job["state"] not in ("queued", "running"):
                break
            time.sleep(0.02)
        self.assertEqual((job["state"], "result" in job), ("done", True), job)
        self.assertEqual(schema.faults(self.doc, {"$ref": "#/components/schemas/Clustered"}, job["result"]), [])
        return job["result"]

    def of(self, set, query="", c=None):
        a = (c or self.c).get("/v1/sets/%s/album%s" % (set, query))
        self.assertEqual(a.status, 200, a.body)
        return a.json

    def groups(self, set):
        """Groups by the folder of their first face."""
        return {g["faces"][0]["path"][:2]: g for g in self.of(set)["groups"]}

    # ---- grouping and looking ----

    def test_people_become_groups(self):
        set = self.album((1, 2, 3), extra=[("all.jpg", file_of("samples", "group.jpg")), ("none.jpg", file_of("samples", "no-face", "1.jpg"))])
        r = self.group(set, judge=True)
        self.assertEqual((r["groups"], r["named"]), (3, 0), r)
        self.assertEqual(r["scores"]["n_people"], 3)
        self.assertEqual((r["scores"]["b_precision"], r["scores"]["b_recall"]), (1, 1), r)
        self.assertLess(r["link"], r["pair"])
        a = self.of(set, "?faces=100")
        self.assertEqual((a["n_groups"], a["n_faces"], a["n_ungrouped"], a["next"], a["undo"]), (3, 14, r["ungrouped"], None, None))
        for g in a["groups"]:
            folders = {f["path"].split("/")[0] for f in g["faces"]} - {"all.jpg"}
            self.assertEqual(len(folders), 1, g)
            self.assertEqual([f["representative"] for f in g["faces"]], [True] + [False] * (len(g["faces"]) - 1))
            self.assertEqual(self.c.get("/v1/sets/%s/faces/%d" % (set, g["faces"][0]["id"])).type, "image/jpeg")
            self.assertTrue(0 < g["faces"][-1]["confidence"] <= 1, g)
        self.assertEqual(sum(g["n_faces"] for g in a["groups"]) + a["n_ungrouped"], a["n_faces"])
        # a second time nothing is left to do, and groups stay
        again = self.group(set)
        self.assertEqual((again["new_groups"], [g["id"] for g in self.of(set)["groups"]]), (0, [g["id"] for g in a["groups"]]))
        self.assertNotIn("scores", again)

    def test_answers_come_in_pages(self):
        set = self.album((1, 2, 3, 4), 2)
        self.group(set)
        first = self.of(set, "?limit=3&faces=0")
        self.assertEqual((len(first["groups"]), first["groups"][0]["faces"], first["n_groups"]), (3, [], 4))
        rest = self.of(set, "?limit=3&after=%d" % first["next"])
        self.assertEqual((len(rest["groups"]), rest["next"]), (1, None))
        g = rest["groups"][0]
        one = self.c.get("/v1/sets/%s/groups/%d?limit=1" % (set, g["id"])).json
        two = self.c.get("/v1/sets/%s/groups/%d?limit=1&after=%d" % (set, g["id"], one["next"])).json
        self.assertEqual((one["n_faces"], len(two["faces"]), two["next"]), (2, 1, None))
        self.assertNotEqual(one["faces"][0]["id"], two["faces"][0]["id"])
        self.assertFalse(two["faces"][0]["representative"])
        self.assertEqual(self.c.get("/v1/sets/%s/album?after=999" % set).code, "NOT_FOUND")
        for bad in ("limit=0", "limit=x", "faces=-1", "after=-1"):
            self.assertEqual(self.c.get("/v1/sets/%s/album?%s" % (set, bad)).code, "BAD_ARGUMENT", bad)
        self.assertEqual(self.c.get("/v1/sets/%s/ungrouped?limit=9999" % set).code, "BAD_ARGUMENT")
        self.assertEqual(self.c.get("/v1/sets/%s/groups/999" % set).code, "NOT_FOUND")
        self.assertEqual(self.c.get("/v1/sets/%s/groups/x" % set).code, "NOT_FOUND")

    def test_new_pictures_join_and_folders_may_be_missing(self):
        set = self.album((1,), 2, extra=[("one.jpg", sample(4, 0))])
        self.assertEqual(self.group(set)["groups"], 1)
        loose = self.c.get("/v1/sets/%s/ungrouped" % set).json
        self.assertEqual([f["path"] for f in loose["faces"]], ["one.jpg"])
        for path, picture in (("new.jpg", sample(1, 2)), ("two.jpg", sample(4, 1))):
            self.c.post("/v1/sets/%s/pictures?path=%s" % (set, path), data=picture[1], headers={"Content-Type": "image/jpeg"})
        r = self.group(set)
        self.assertEqual((r["groups"], r["joined"], r["new_groups"], r["ungrouped"]), (2, 1, 1, 0), r)
        flat = self.album((), extra=[("a.jpg", sample(1, 0)), ("b.jpg", sample(1, 1))])
        self.assertIsNone(self.group(flat, judge=True)["scores"])
        self.assertEqual(self.group(self.album(()))["faces"], 0)

    def test_groups_take_the_names_of_who_is_enrolled(self):
        self.c.post("/v1/collections", body={"name": "known"})
        for p, name in ((5, "Eva"), (6, "Fred")):
            self.assertEqual(self.c.post("/v1/people?collection=known", form=[("name", name), ("file", sample(p, 3))]).status, 201)
        set = self.album((5, 6, 7))
        r = self.group(set, collection="known", pair_fmr=1e-4)
        self.assertEqual((r["groups"], r["named"]), (3, 2), r)
        self.assertEqual({k: g["name"] for k, g in self.groups(set).items()}, {"05": "Eva", "06": "Fred", "07": ""})
        post = lambda c, **body: c.post("/v1/cluster", body=body)
        self.assertEqual(post(self.c, set=set, collection="none").code, "NO_COLLECTION")
        blind = self.key("enrol")
        own = self.album((1,), 1, c=blind)
        self.assertEqual(post(blind, set=own, collection="known").code, "NOT_ALLOWED")
        elsewhere = self.key("enrol,read", collection="default")
        self.assertEqual(post(elsewhere, set=self.album((1,), 1, c=elsewhere), collection="known").code, "NOT_ALLOWED")

    # ---- correcting ----

    def test_names(self):
        set = self.album((1, 2), 2)
        self.group(set)
        one, two = (self.groups(set)[k]["id"] for k in ("01", "02"))
        patch = lambda id, **body: self.c.call("PATCH", "/v1/sets/%s/groups/%s" % (set, id), body=body)
        name = 'Zoë <script>alert(1)</script> \'); DROP TABLE people;-- 名'
        self.assertEqual(patch(one, name=name).json["name"], name)
        taken = patch(two, name=name)
        self.assertEqual((taken.status, taken.code, taken.json["error"]["details"]), (409, "EXISTS", {"group": one}))
        self.assertNotIn("/", taken.json["error"]["message"])
        self.assertEqual(self.of(set)["undo"], "name of group %d" % one)
        self.assertEqual(patch(one, name="").json["name"], "")
        self.assertEqual(patch(999, name="x").code, "NOT_FOUND")
        self.assertEqual(patch(one).code, "BAD_ARGUMENT")
        self.assertEqual(patch(one, name="n" * 2000).code, "TOO_LARGE")
        # a name survives grouping anew
        patch(one, name="Ann")
        self.group(set, anew=True)
        self.assertIn("Ann", [g["name"] for g in self.of(set)["groups"]])

    def test_merge_split_not_give_and_back(self):
        set = self.album((1, 2, 3), 3)
        self.group(set)
        before = self.of(set, "?faces=99")["groups"]
        by = self.groups(set)
        one, two = by["01"]["id"], by["02"]["id"]
        at = lambda id, what, **body: self.c.post("/v1/sets/%s/groups/%s/%s" % (set, id, what), body=body)
        faces = lambda id: [f["id"] for f in self.c.get("/v1/sets/%s/groups/%d" % (set, id)).json["faces"]]
        undo = lambda: self.c.post("/v1/sets/%s/undo" % set)
        self.assertEqual(undo().code, "NOT_FOUND")
        ones, twos = faces(one), faces(two)

        merged = at(one, "merge", **{"from": two})
        self.assertEqual((merged.status, merged.json["n_faces"]), (200, 6), merged.body)
        self.assertEqual(self.c.get("/v1/sets/%s/groups/%d" % (set, two)).code, "NOT_FOUND")
        a = undo()
        self.assertEqual((a.status, a.json), (200, {"undone": "merge of group %d into %d" % (two, one), "undo": None}))
        self.assertEqual(sorted(faces(two)), sorted(twos))

        made = self.c.post("/v1/sets/%s/split" % set, body={"faces": [ones[0], twos[0]]})
        self.assertEqual((made.status, made.json["n_faces"]), (201, 2))
        self.assertEqual((len(faces(one)), len(faces(two))), (2, 2))

        gone = at(one, "not", face=ones[1])
        self.assertEqual((gone.status, gone.json["n_faces"]), (200, 1))
        self.assertIn(ones[1], [f["id"] for f in self.c.get("/v1/sets/%s/ungrouped" % set).json["faces"]])
        self.group(set)
        self.assertNotIn(ones[1], faces(one))

        given = at(one, "faces", faces=[ones[1], twos[1]])
        self.assertEqual((given.status, given.json["n_faces"]), (200, 3), given.body)
        self.assertEqual(self.of(set)["undo"], "2 faces given to group %d" % one)
        for _ in range(3):
            self.assertEqual(undo().status, 200)
        after = self.of(set, "?faces=99")["groups"]
        self.assertEqual({g["id"]: sorted(f["id"] for f in g["faces"]) for g in after}, {g["id"]: sorted(f["id"] for f in g["faces"]) for g in before})

        self.assertEqual(at(one, "merge", **{"from": one}).code, "BAD_ARGUMENT")
        self.assertEqual(at(one, "merge").code, "BAD_ARGUMENT")
        self.assertEqual(at(one, "merge", **{"from": 999}).code, "NOT_FOUND")
        self.assertEqual(at(one, "not", face=999).code, "NOT_FOUND")
        self.assertEqual(at(one, "not").code, "BAD_ARGUMENT")
        for bad in ([], "x", [1.5], ["1"], list(range(6000))):
            self.assertEqual(self.c.post("/v1/sets/%s/split" % set, body={"faces": bad}).code, "BAD_ARGUMENT", str(bad)[:20])
            self.assertEqual(at(one, "faces", faces=bad).code, "BAD_ARGUMENT")
        self.assertEqual(self.c.post("/v1/sets/%s/split" % set, body={"faces": [999]}).code, "NOT_FOUND")
        self.assertEqual(at(999, "faces", faces=[ones[0]]).code, "NOT_FOUND")
        self.assertEqual(at(999, "not", face=ones[0]).code, "NOT_FOUND")

    def test_another_writer_is_told_of_and_no_path(self):
        set = self.album((1,), 2)
        self.group(set)
        db = sqlite3.connect(os.path.join(self.server.data, "sets", set, "album.db"), isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        a = self.c.call("PATCH", "/v1/sets/%s/groups/%d" % (set, self.of(set)["groups"][0]["id"]), body={"name": "Ann"})
        db.execute("ROLLBACK")
        db.close()
        self.assertEqual((a.status, a.code), (503, "ALBUM_BUSY"), a.body)
        self.assertNotIn("album.db", a.json["error"]["message"])

    # ---- enrolling ----

    def test_a_group_is_enrolled_under_the_same_checks(self):
        c = self.c
        c.post("/v1/collections", body={"name": "staff"})
        set = self.album((8, 9), 4)
        self.group(set)
        by = self.groups(set)
        url = lambda k, q="": "/v1/sets/%s/groups/%d/enrol?collection=staff%s" % (set, by[k]["id"], q)
        self.assertEqual(c.post(url("08"), body={}).code, "BAD_ARGUMENT")
        c.call("PATCH", "/v1/sets/%s/groups/%d" % (set, by["08"]["id"]), body={"name": "Hana"})
        a = c.post(url("08"), body={"consent": {"purpose": "door", "basis": "consent"}, "keep_images": 1})
        self.assertEqual((a.status, a.json and a.json["enrolled"]), (201, by["08"]["n_faces"]), a.body)
        person = c.get("/v1/people/%d?collection=staff" % a.json["person"]).json
        self.assertEqual((person["name"], person["faces"], person["consent"]["purpose"]), ("Hana", a.json["enrolled"], "door"))
        direct = c.post("/v1/detect", form=[("file", sample(8, 0))]).json["faces"][0]["quality"]
        kept = next(f for f in person["face_list"] if f["source"] == "08/0.jpg")
        self.assertEqual((kept["quality"], kept["has_image"]), (direct, True))
        self.assertEqual(c.get("/v1/faces/%d/image?collection=staff" % kept["id"]).type, "image/jpeg")
        found = c.post("/v1/identify?collection=staff", form=[("file", sample(8, 2))]).json["faces"][0]
        self.assertEqual(found["person"]["name"], "Hana")
        # twice is noticed; as somebody else too; both say why
        again = c.post(url("08"), body={})
        self.assertEqual((again.status, again.code), (422, "DUPLICATE_IMAGE"), again.body)
        other = self.album((8,), 4)
        self.group(other)
        id = self.of(other)["groups"][0]["id"]
        b = c.post("/v1/sets/%s/groups/%d/enrol?collection=staff" % (other, id), body={"name": "Ida"})
        self.assertIn(b.code, ("LOOKS_LIKE_ANOTHER_PERSON", "DUPLICATE_IMAGE"), b.body)
        self.assertTrue(all(not p["enrolled"] for p in b.json["error"]["details"]["pictures"]))
        # the audit chain names the key, and no person
        entries = c.get("/v1/audit?collection=staff&limit=100").json["entries"]
        enrols = [e for e in entries if e["action"].startswith("enrol")]
        self.assertTrue(enrols and all(e["actor"].startswith("key ") for e in enrols), entries)
        self.assertNotIn("Hana", json.dumps(entries))
        self.assertEqual(c.post("/v1/sets/%s/groups/999/enrol" % set, body={"name": "x"}).code, "NOT_FOUND")
        self.assertEqual(c.post(url("09").replace("staff", "none"), body={"name": "x"}).code, "NO_COLLECTION")
        self.assertEqual(c.post(url("09"), body={"name": "n" * 5000}).code, "TOO_LARGE")

    # ---- whose it is ----

    def test_an_album_is_its_keys(self):
        mine, other = self.key("enrol"), self.key("enrol")
        set = self.album((1,), 2, c=mine)
        self.group(set, c=mine)
        id = self.of(set, c=mine)["groups"][0]["id"]
        for method, path, body in (("GET", "/album", None), ("GET", "/ungrouped", None), ("POST", "/undo", None), ("POST", "/split", {"faces": [1]}),
                                   ("GET", "/groups/%d" % id, None), ("PATCH", "/groups/%d" % id, {"name": "x"}), ("POST", "/groups/%d/not" % id, {"face": 1}),
                                   ("POST", "/groups/%d/merge" % id, {"from": 999}), ("POST", "/groups/%d/faces" % id, {"faces": [1]}),
                                   ("POST", "/groups/%d/enrol" % id, {"name": "x"})):
            self.assertEqual(other.call(method, "/v1/sets/%s%s" % (set, path), body=body).code, "NOT_FOUND", path)
        self.assertEqual(other.post("/v1/cluster", body={"set": set}).code, "NOT_FOUND")
        self.assertEqual(self.of(set)["n_groups"], 1)

    def test_a_job_that_makes_no_sense_is_refused(self):
        set = self.album((), extra=[("a.jpg", sample(1, 0))])
        for bad in ({}, {"set": 1}, {"set": set, "pair_fmr": 0.5}, {"set": set, "pair_fmr": "x"}, {"set": set, "anew": 1}, {"set": set, "judge": "yes"}):
            self.assertEqual(self.c.post("/v1/cluster", body=bad).code, "BAD_ARGUMENT", bad)
        self.assertEqual(self.c.post("/v1/cluster", body={"set": "0" * 16}).code, "NOT_FOUND")

    def test_zz_every_call_was_made_and_every_answer_fits(self):
        client.check_complete(self, [self.c], ["Album"])


if __name__ == "__main__":
    MIEN = os.path.abspath(sys.argv.pop(1))
    unittest.main(argv=[sys.argv[0], "-f"] + sys.argv[1:])
