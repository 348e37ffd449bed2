"""What holds space: lists of labels, dry runs, thinning, df."""
import os
import unittest

import harness
from test_verbs import both_ways

MEBIBYTE = 1 << 20
PARTS = ["sharedBySnapshots", "awaitingClear", "deletedSnapshots", "pendingFrees", "deadlists", "snapshotTree",
         "logs", "unusable", "notCommitted", "unaccounted", "reserve", "free"]


def labels(image, *options):
    return {item["name"]: item for item in harness.run_json("snap", "list", image, *options)}


def explained(test, image):
    """What df --explain says, which adds up to the size."""
    report, = harness.run_json("df", "--explain", image)
    shares = sum(share["bytes"] for share in report["branches"] + report["snapshots"])
    test.assertEqual(shares + sum(report[part] for part in PARTS) - report["overlap"], report["size"], report)
    return report


def write(image, name, size):
    harness.run("cp", image, "-", ":/%s" % name, stdin=os.urandom(size))


class Space(harness.TemporaryFolder):
    def history(self, image):
        """A large file that two snapshots share, and a small one of its own in each."""
        write(image, "large", 8 * MEBIBYTE)
        harness.run("snap", "create", image, "main", "one")
        write(image, "small", MEBIBYTE)
        harness.run("snap", "create", image, "main", "two")
        harness.run("rm", "--yes", image, "/large")
        write(image, "small", MEBIBYTE)
        harness.run("snap", "create", image, "main", "three")

    @both_ways
    def test_list(self, image):
        self.history(image)
        found = labels(image)
        self.assertEqual(set(found), {"adm", "empty", "main", "one", "two", "three"})
        for name, item in found.items():
            self.assertEqual(item["type"], "label")
            self.assertGreater(item["referenced"], 0, name)
            self.assertEqual("time" in item, name in ("one", "two", "three"), item)
        self.assertRegex(found["one"]["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertGreater(found["two"]["referenced"], 9 * MEBIBYTE)
        # The large file is in two of them, so neither would free it alone.
        self.assertLess(found["one"]["exclusive"], MEBIBYTE)
        self.assertTrue(MEBIBYTE <= found["two"]["exclusive"] < 2 * MEBIBYTE, found["two"])
        short = labels(image, "--short")
        self.assertEqual(set(short), set(found))
        self.assertFalse(any("exclusive" in item for item in short.values()))
        text = harness.run_text("snap", "list", image).splitlines()
        self.assertEqual(text[0].split(), ["name", "time", "refers", "to", "only", "here"])
        self.assertEqual(len(text), 7)
        ordered = harness.run_json("snap", "list", image, "--sort", "exclusive", "--reverse")
        sizes = [item["exclusive"] for item in ordered]
        self.assertEqual(sizes, sorted(sizes, reverse=True))

    @both_ways
    def test_dry_run(self, image):
        self.history(image)
        said, = harness.run_json("snap", "delete", "--dry-run", image, "one", "two")
        self.assertEqual((said["type"], said["snapshots"]), ("deletion", 2))
        self.assertTrue(9 * MEBIBYTE <= said["freed"] < 10 * MEBIBYTE, said)
        self.assertIn("free 9.", harness.run_text("snap", "delete", "--dry-run", image, "one", "two"))
        self.assertIn("one", labels(image))
        before = explained(self, image)
        harness.run("snap", "delete", "--yes", image, "one", "two")
        after = explained(self, image)
        self.assertEqual(sum(share["bytes"] for share in before["snapshots"]) + before["sharedBySnapshots"]
                         - sum(share["bytes"] for share in after["snapshots"]) - after["sharedBySnapshots"],
                         said["freed"])
        self.assertEqual(after["unaccounted"], 0)
        result = harness.run("snap", "delete", "--dry-run", image, "one", status=1)
        self.assertIn(b"one", result.stderr)
        harness.run("snap", "delete", "--dry-run", image, "adm", status=1)

    @both_ways
    def test_thin(self, image):
        self.history(image)
        report, = harness.run_json("snap", "thin", image, "--need", "8M", "--dry-run")
        self.assertEqual({item["name"] for item in report["labels"]}, {"one", "two"})
        self.assertGreaterEqual(report["freed"], 8 * MEBIBYTE)
        refused = harness.run("snap", "thin", image, "--need", "8M", status=2)
        self.assertIn(b"--yes", refused.stderr)
        self.assertIn("one", labels(image))
        result = harness.run("snap", "thin", image, "--need", "5G", "--yes", status=7)
        self.assertIn(b"hold only", result.stderr)
        harness.run("snap", "thin", image, "--need", "nothing", status=2)
        harness.run("snap", "thin", image, "--need", "8M", "--yes")
        self.assertEqual(set(labels(image)), {"adm", "empty", "main", "three"})

    @both_ways
    def test_df(self, image):
        self.history(image)
        report = explained(self, image)
        self.assertEqual(report["unaccounted"], 0)
        self.assertEqual(report["overlap"], 0)
        branches = {share["label"]: share["bytes"] for share in report["branches"]}
        self.assertTrue(MEBIBYTE <= branches["main"] < 2 * MEBIBYTE, branches)
        self.assertGreaterEqual(report["sharedBySnapshots"], 8 * MEBIBYTE)
        space, = harness.run_json("df", image)
        self.assertLessEqual(space["available"], report["free"])
        self.assertGreater(space["available"], report["free"] * 9 // 10)
        text = harness.run_text("df", "--explain", image)
        self.assertIn("branch main", text)
        self.assertIn("only in snapshot two", text)

    def test_df_is_what_fits(self):
        image = self.ream()
        space, = harness.run_json("df", image)
        write(image, "all", space["available"] - MEBIBYTE)
        harness.run("cp", image, "-", ":/more", stdin=os.urandom(3 * MEBIBYTE), status=7)
        self.assert_clean(image)

    @harness.needs_shared
    def test_disks_of_the_original(self):
        for name in harness.reference_images():
            with self.subTest(image=name):
                image, _ = self.unpack(name)
                explained(self, image)
                found = [label for label in labels(image) if label not in ("adm", "empty", "main")]
                if found:
                    harness.run("snap", "delete", "--dry-run", image, *found)
                os.unlink(image)


if __name__ == "__main__":
    unittest.main()
