"""What differs between two states of a tree, and the versions of a file."""
import itertools
import json
import unittest

import harness
from test_verbs import both_ways


def diff(image, *operands, status=1):
    return harness.run_text("snap", "diff", image, *operands, status=status).splitlines()


class Differences(harness.TemporaryFolder):
    def history(self, image):
        """A branch with a state for each kind of change."""
        harness.run("mkdir", image, "/dir", "/dir/sub", "/gone")
        for path, text in (("dir/sub/deep", "deep"), ("kept", "kept"), ("file", "one"), ("mode", "m"), ("gone/x", "x")):
            harness.run("cp", image, "-", ":/" + path, stdin=text.encode())
        harness.run("snap", "create", image, "main", "before")
        harness.run("cp", image, "-", ":/file", stdin=b"another")
        harness.run("mv", image, "/dir", "/moved")
        harness.run("chmod", image, "0600", "/mode")
        harness.run("rm", "-r", "--yes", image, "/gone")
        harness.run("mkdir", image, "/new")
        harness.run("cp", image, "-", ":/new/a b", stdin=b"1")
        harness.run("snap", "create", image, "main", "after")

    @both_ways
    def test_each_kind_of_change_is_a_line(self, image):
        self.history(image)
        lines = ["M /file", "D /gone/", "D /gone/x", "M /mode", "R /dir/ -> /moved/", "A /new/", "A /new/a b"]
        self.assertEqual(diff(image, "before", "after"), lines)
        self.assertEqual(diff(image, "main@before", "main"), lines)
        self.assertEqual(diff(image, "main~2", "main"), lines)
        self.assertEqual(diff(image, "before", "after", "/new"), ["A /new/", "A /new/a b"])
        self.assertEqual(diff(image, "before", "after", "/kept", status=0), [])
        self.assertEqual(diff(image, "after", "main", status=0), [])
        backwards = diff(image, "after", "before")
        self.assertEqual(backwards, ["R /moved/ -> /dir/", "M /file", "A /gone/", "A /gone/x", "M /mode", "D /new/",
                                     "D /new/a b"])
        detailed = diff(image, "before", "after", "-v")
        self.assertIn("M /mode  (mode 0644 to 0600)", detailed)

    @both_ways
    def test_json_and_totals(self, image):
        self.history(image)
        changes = harness.run_json("snap", "diff", image, "before", "after", status=1)
        self.assertEqual({change["type"] for change in changes}, {"change"})
        found = {change["path"]: change for change in changes}
        # The time is another one, too, unless both states are of one second.
        self.assertEqual(found["/file"]["aspects"][:2], ["contents", "size"])
        self.assertEqual((found["/file"]["old"]["size"], found["/file"]["new"]["size"]), (3, 7))
        self.assertEqual((found["/moved"]["oldPath"], found["/moved"]["kind"]), ("/dir", "directory"))
        self.assertNotIn("new", found["/gone/x"])
        totals, = harness.run_json("snap", "diff", image, "before", "after", "--stat", status=1)
        self.assertEqual([totals[key] for key in ("added", "removed", "changed", "renamed")], [2, 2, 2, 1])
        self.assertEqual((totals["addedBytes"], totals["removedBytes"]), (1, 1))
        self.assertLess(totals["blocksRead"], 30)
        totals, = harness.run_json("snap", "diff", image, "after", "after", "--stat", status=0)
        self.assertEqual(totals["changed"], 0)

    @both_ways
    def test_what_cannot_be_compared_ends_with_2(self, image):
        for operands in (("main", "nothing"), ("main", "main", "/nowhere"), ("main",), ("main", "main@-1h")):
            harness.run("snap", "diff", image, *operands, status=2)
        error = json.loads(harness.run("snap", "diff", image, "main", "nothing", "--json", status=2).stderr)
        self.assertEqual((error["type"], error["status"]), ("error", 2))

    @both_ways
    def test_names_that_are_no_text(self, image):
        harness.run("mkdir", image, "/d")
        harness.run("snap", "create", image, "main", "before")
        harness.run("cp", image, "-", ":/d/\udcff\udcfe", stdin=b"1")
        harness.run("snap", "create", image, "main", "after")
        change, = harness.run_json("snap", "diff", image, "before", "after", "/d/\udcff\udcfe", status=1)
        self.assertEqual(change["pathBytes"], b"/d/\xff\xfe".hex())
        version, _ = harness.run_json("log", image, "/d/\udcff\udcfe")
        self.assertEqual((version["newest"]["name"], version["oldest"]["name"]), ("main", "after"))

    def test_thousands_of_changes_pass_through_a_server(self):
        image = self.ream()
        harness.run("snap", "create", image, "main", "before")
        count = 12000 * harness.scale()
        source = self.folder / "many"
        source.mkdir()
        for index in range(count):
            (source / ("file%d" % index)).touch()
        server = self.serve(image)
        harness.run("cp", "-r", image, source, ":/many")
        lines = diff(image, "before", "main")
        self.assertEqual(len(lines), count + 1)
        self.assertEqual(set(lines), {"A /many/"} | {"A /many/file%d" % index for index in range(count)})
        self.assertEqual(server.halt(), 0)


class Versions(harness.TemporaryFolder):
    @both_ways
    def test_versions_and_how_to_see_them(self, image):
        for index, text in enumerate(("one", "one", "three", None, "five")):
            if text is None:
                harness.run("rm", "--yes", image, "/f")
            elif index != 1:
                harness.run("cp", image, "-", ":/f", stdin=text.encode())
            harness.run("cp", image, "-", ":/other", stdin=b"x" * index)
            harness.run("snap", "create", image, "main", "s%d" % index)
        *versions, summary = harness.run_json("log", image, "/f")
        self.assertEqual([(item["newest"]["name"], item["oldest"]["name"], item["labels"], item["present"])
                          for item in versions],
                         [("main", "s4", 2, True), ("s3", "s3", 1, False), ("s2", "s2", 1, True),
                          ("s1", "s0", 2, True)])
        self.assertEqual([item["file"]["size"] for item in versions if item["present"]], [4, 5, 3])
        self.assertEqual((summary["type"], summary["versions"]), ("fileHistory", 4))
        for item in versions:
            if item["present"]:
                for label in (item["newest"]["name"], "main@" + item["oldest"]["name"]):
                    text = harness.run_text("cat", image, label + ":/f")
                    self.assertEqual(len(text), item["file"]["size"])
        self.assertEqual(len(harness.run_text("log", image, "/f").splitlines()), 4)
        self.assertEqual(len(harness.run_text("log", image, "s1:/f").splitlines()), 1)
        harness.run("log", image, "/never", status=1)


@harness.needs_shared
class OriginalsSnapshots(harness.TemporaryFolder):
    def test_differences_are_those_of_the_manifests(self):
        for name in harness.reference_images():
            image, manifest = self.unpack(name)
            snapshots = json.loads(manifest.read_text())["snapshots"]
            for old, new in itertools.permutations(sorted(snapshots)[:4], 2):
                with self.subTest(image=name, old=old, new=new):
                    self.compare(image, old, new, snapshots[old]["entries"], snapshots[new]["entries"])

    def compare(self, image, old, new, before, after):
        before = {entry["qid_path"]: entry for entry in before}
        after = {entry["qid_path"]: entry for entry in after}
        found = {}
        for change in harness.run_json("snap", "diff", image, old, new, status=None):
            found[change["qid"]] = change
        for qid in set(before) | set(after):
            a, b, change = before.get(qid), after.get(qid), found.get(qid, {"change": "none", "aspects": []})
            if a is None or b is None:
                self.assertEqual(change["change"], "removed" if b is None else "added", a or b)
                continue
            last = [item["path"].split("/")[-1] for item in (a, b)]
            self.assertEqual(change["change"] == "renamed", last[0] != last[1], b)
            # New contents may be the same bytes, and old bytes beyond a file's end may differ.
            if a.get("sha256") != b.get("sha256"):
                self.assertIn("contents", change["aspects"], b)
            for field, aspect in (("mode", "mode"), ("uid", "owner"), ("gid", "group")):
                self.assertEqual(aspect in change["aspects"], a[field] != b[field], (a, b))
        self.assertLessEqual(set(found), set(before) | set(after))


if __name__ == "__main__":
    unittest.main()
