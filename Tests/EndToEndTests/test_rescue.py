"""`gefs rescue`: files out of disks that cannot be opened."""
import hashlib
import json
import os
import pathlib
import random
import stat
import unittest

import harness

BLOCK = 16384


def zero(image, blocks):
    with open(image, "r+b") as file:
        for block in blocks:
            file.seek(block)
            file.write(bytes(BLOCK))


def blocks_of(image, kinds):
    """Addresses of the blocks that begin with one of these numbers."""
    found = []
    with open(image, "rb") as file:
        while True:
            address = file.tell()
            bytes_ = file.read(BLOCK)
            if len(bytes_) < BLOCK:
                return found
            if int.from_bytes(bytes_[:2], "big") in kinds:
                found.append(address)


SUPERBLOCK, LOG, ARENA = 0x6765, 3, 5


class Rescue(harness.TemporaryFolder):
    def rescue(self, image, *options, status=0, out="out"):
        """Runs the verb; returns the folder and the entries of RESCUE.json by path."""
        folder = self.folder / out
        harness.run("rescue", image, folder, *options, status=status)
        entries = json.loads((folder / "RESCUE.json").read_text())
        return folder, {item["path"]: item for item in entries if item["type"] == "rescuedFile"}, entries

    def populate(self):
        image = self.ream("disk.img")
        source = self.folder / "source"
        (source / "a" / "b").mkdir(parents=True)
        chance = random.Random(harness.SEED)
        contents = {}
        for index in range(40):
            path = pathlib.Path("a/b" if index % 3 else "a") / ("file%d" % index)
            bytes_ = chance.randbytes(chance.randrange(100000))
            (source / path).write_bytes(bytes_)
            os.chmod(source / path, 0o640)
            os.utime(source / path, (1e9, 1e9 + index))
            contents[path.as_posix()] = bytes_
        harness.run("cp", "-r", image, source / "a", ":/")
        harness.run("snap", "create", image, "main", "then")
        harness.run("rm", "--yes", image, "/a/file0")
        del contents["a/file0"]
        return image, contents

    def assert_contents(self, folder, contents):
        found = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()
        }
        self.assertEqual(sorted(found), sorted(contents))
        for path in contents:
            self.assertTrue(found[path] == contents[path], path)

    def test_without_superblocks_logs_and_headers(self):
        image, contents = self.populate()
        zero(image, blocks_of(image, {SUPERBLOCK, LOG, ARENA}))
        harness.run("ls", image, "/", status=None)
        before = hashlib.sha256(image.read_bytes()).digest()
        listed = harness.run_json("rescue", image, "--list")
        labels = {item["label"]: item for item in listed if item["type"] == "rescuable"}
        self.assertTrue({"main", "adm", "then", "empty"} <= set(labels))
        self.assertEqual(labels["main"]["origin"], "snapshotTree")
        folder, files, _ = self.rescue(image, status=3)
        self.assert_contents(folder / "main", contents)
        self.assertFalse((folder / "then").exists())
        for path in contents:
            status = (folder / "main" / path).stat()
            self.assertEqual(stat.S_IMODE(status.st_mode), 0o640)
            self.assertEqual(int(status.st_mtime), 10 ** 9 + int(path[len("a/b/file" if "/b/" in path else "a/file"):]))
            entry = files["main/" + path]
            self.assertEqual((entry["state"], entry["origin"], entry["missing"]), ("whole", "tree", []))
            self.assertEqual(entry["owner"], "adm")
        self.assertEqual(hashlib.sha256(image.read_bytes()).digest(), before)
        # A snapshot by its name; a folder that is not empty is refused.
        harness.run("rescue", image, folder, "--label", "then", status=1)
        harness.run("rescue", image, folder, "--label", "then", "--force", status=3)
        self.assertTrue((folder / "then" / "a" / "file0").exists())
        self.assertTrue((folder / "RESCUE~2.json").exists())
        harness.run("rescue", image, self.folder / "x", "--label", "absent", status=1)

    def test_whole_disk(self):
        image, contents = self.populate()
        folder, _, entries = self.rescue(image)
        self.assert_contents(folder / "main", contents)
        self.assertTrue(all(item["whole"] for item in entries if item["type"] == "rescued"))
        text = harness.run_text("rescue", image, "--list")
        self.assertRegex(text, r"main +branch +superblock +there")

    def test_holes_for_what_is_missing(self):
        image, contents = self.populate()
        sizes = {path: len(bytes_) for path, bytes_ in contents.items()}
        path = max(sizes, key=sizes.get)
        # A block of the file is found by its bytes.
        piece = contents[path][BLOCK:2 * BLOCK]
        place = image.read_bytes().index(piece)
        zero(image, [place])
        folder, files, _ = self.rescue(image, status=3)
        entry = files["main/" + path]
        self.assertEqual((entry["state"], entry["missing"]), ("partial", [{"start": BLOCK, "end": 2 * BLOCK}]))
        expected = contents[path][:BLOCK] + bytes(BLOCK) + contents[path][2 * BLOCK:]
        self.assertTrue((folder / "main" / path).read_bytes() == expected)

    def test_refusals(self):
        nothing = self.folder / "nothing"
        nothing.write_bytes(bytes(1 << 20))
        result = harness.run("rescue", nothing, self.folder / "out", status=4)
        self.assertIn(b"no part of a gefs found", result.stderr)
        harness.run("rescue", self.folder / "absent", self.folder / "out", status=4)
        harness.run("rescue", nothing, status=2)
        harness.run("rescue", nothing, self.folder / "out", "--list", status=2)
        image = self.ream("served.img")
        server = self.serve(image)
        harness.run("rescue", image, self.folder / "out", status=5)
        self.assertEqual(server.halt(), 0)

    @harness.needs_shared
    def test_reference_images(self):
        for name in harness.reference_images():
            with self.subTest(image=name):
                image, manifest = self.unpack(name)
                superblocks = blocks_of(image, {SUPERBLOCK, LOG, ARENA})
                zero(image, superblocks)
                snapshots = json.loads(manifest.read_text())["snapshots"]
                chosen = sorted(label for label in snapshots if label != "dump")[:6]
                out = "out-" + name
                options = [word for label in chosen for word in ("--label", label)]
                folder, _, _ = self.rescue(image, *options, status=3, out=out)
                for label in chosen:
                    self.assert_manifest(folder / label, snapshots[label]["entries"], name)
                image.unlink()

    @harness.needs_shared
    def test_a_tenth_of_all_blocks_gone(self):
        names = [name for name in harness.reference_images() if "populated" in name]
        for name in names:
            with self.subTest(image=name):
                image, manifest = self.unpack(name)
                chance = random.Random(harness.SEED)
                used = blocks_of(image, range(1, 1 << 16))
                zero(image, [block for block in used if chance.randrange(10) == 0])
                entries = json.loads(manifest.read_text())["snapshots"]["main"]["entries"]
                expected = {"main/" + entry["path"]: entry["sha256"] for entry in entries if "sha256" in entry}
                folder, files, _ = self.rescue(image, "--label", "main", status=3, out="out-" + name)
                right = partial = 0
                for path, entry in files.items():
                    partial += entry["state"] == "partial"
                    # Names with control characters are spelled out.
                    if entry["kind"] != "file" or entry["state"] != "whole" or "\\x" in path:
                        continue
                    found = hashlib.sha256((folder / path).read_bytes()).hexdigest()
                    right += expected.get(path) == found
                    if entry["origin"] == "tree" and "lost+found" not in path:
                        self.assertEqual(expected.get(path), found, path)
                print("%s: of %d files %d as they were, %d partial" % (name, len(expected), right, partial), flush=True)
                image.unlink()

    def assert_manifest(self, folder, entries, name):
        for entry in entries:
            if not entry["path"]:
                continue
            path = folder / entry["path"]
            if int(entry["mode"], 8) & 0o20000000000:
                self.assertTrue(path.is_dir(), path)
                continue
            self.assertTrue(path.is_file(), "%s: %s" % (name, path))
            self.assertEqual(path.stat().st_size, entry["size"])
            self.assertEqual(hashlib.sha256(path.read_bytes()).hexdigest(), entry["sha256"], path)
