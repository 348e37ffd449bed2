"""Making, filling, serving, growing: what 9front's checker has to accept."""
import json
import os
import random
import unittest

import harness
from harness import MEBIBYTE


class Reaming(harness.TemporaryFolder):
    def test_a_fresh_image_is_clean(self):
        for size in (harness.IMAGE_BYTES_MIN, 1 << 30, 4 << 30):
            with self.subTest(size=size):
                image = self.ream("fresh.img", size)
                self.assertEqual(image.stat().st_size, size)
                self.assertLess(image.stat().st_blocks * 512, 4 * MEBIBYTE, "the image is not sparse")
                self.assert_clean(image)
                image.unlink()

    def test_dialect_n_is_clean(self):
        image = self.ream("n.img", harness.IMAGE_BYTES_MIN, "--dialect", "N")
        self.assertEqual(harness.run_json("info", image)[0]["dialect"], "N")
        self.assert_clean(image)

    @harness.needs_shared
    def test_a_fresh_image_equals_the_originals(self):
        reference, _ = self.unpack("a-fresh")
        image = self.ream("ours.img", reference.stat().st_size)
        _, wanted = harness.oracle("manifest", reference)
        _, found = harness.oracle("manifest", image)
        wanted, found = json.loads(wanted), json.loads(found)
        self.assertEqual(wanted["snapshots"], found["snapshots"])

    def test_an_image_with_contents_is_not_erased_unasked(self):
        image = self.ream()
        before = image.read_bytes()
        harness.run("ream", image, "--user", "glenda", status=2)
        self.assertIn("would erase", harness.run_text("ream", image, "--user", "glenda", "--dry-run"))
        self.assertTrue(image.read_bytes() == before)
        harness.run("ream", image, "--user", "glenda", "--force")
        harness.run("ream", image, "--user", "glenda", "--yes")
        self.assert_clean(image)

    def test_too_small_and_nonsense_sizes_are_refused(self):
        image = self.folder / "small.img"
        for size in ("1M", "127M", "0", "-5", "big", "99999999999999999999"):
            harness.run("ream", image, "--size=" + size, "--user", "glenda", status=2)
            self.assertFalse(image.exists(), size)


class Filling(harness.TemporaryFolder):
    def test_what_was_written_is_there_after_a_halt(self):
        image = self.ream(size=1 << 30)
        server = self.serve(image)
        chance = random.Random(harness.SEED)
        files = {}
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            sizes = [0, 1, 4095, 16383, 16384, 16385, 100_000, 5 * MEBIBYTE]
            for number in range(60 * harness.scale()):
                directory = "/d%d" % (number % 7)
                if number < 7:
                    root.make_directory(directory)
                path = "%s/%s-%d" % (directory, "x" * chance.randrange(1, 200), number)
                data = chance.randbytes(chance.choice(sizes))
                root.put(path, data)
                files[path] = data
            sparse = bytearray(3 * MEBIBYTE)
            for offset in (100, 1_000_000, 2 * MEBIBYTE + 5):
                sparse[offset:offset + 3] = b"abc"
            root.put("/sparse", b"")
            file = root.walk("/sparse").open(2)
            for offset in (100, 1_000_000, 2 * MEBIBYTE + 5):
                file.write_at(offset, b"abc")
            file.change(length=len(sparse))
            files["/sparse"] = bytes(sparse)
            for path in chance.sample(sorted(files), 20):
                action = chance.randrange(3)
                if action == 0:
                    root.remove(path)
                    del files[path]
                elif action == 1:
                    length = chance.randrange(len(files[path]) + 1)
                    root.walk(path).change(length=length)
                    files[path] = files[path][:length]
                else:
                    new = path.rsplit("/", 1)[0] + "/renamed-%d" % chance.randrange(10 ** 9)
                    root.walk(path).change(name=new.rsplit("/", 1)[1])
                    files[new] = files.pop(path)
        self.assertEqual(server.halt(), 0, server.output())
        self.assert_clean(image)
        for path, data in files.items():
            self.assertTrue(harness.run("cat", image, path).stdout == data, path)
        listed = {item["path"] for item in harness.run_json("find", "--kind", "file", image)}
        self.assertEqual(listed, set(files))

    @harness.needs_shared
    def test_the_oracle_reads_what_was_written(self):
        image = self.ream()
        server = self.serve(image)
        p9 = harness.load_p9()
        client = p9.Client.dial(server.address)
        root = client.attach("glenda", "main")
        root.mkdir("/a/".rstrip("/"))
        for number in range(300):
            root.put("/a/file-%d" % number, os.urandom(number * 97))
        root.wstatp("/a/file-3", mode=0o600, mtime=1_000_000_000)
        root.sync()
        manifest = {"snapshots": {}}
        for label in ("main", "adm", "empty"):
            entries = p9.manifest(client.attach("glenda", label))
            manifest["snapshots"][label] = {
                "mutable": label != "empty", "nentries": len(entries), "entries": entries}
        path = self.folder / "manifest.json"
        path.write_text(json.dumps(manifest))
        client.close()
        self.assertEqual(server.halt(), 0, server.output())
        status, output = harness.oracle("compare", image, path)
        self.assertEqual(status, 0, output)
        self.assert_clean(image)


class Growing(harness.TemporaryFolder):
    def test_a_grown_image_has_more_room_and_is_clean(self):
        image = self.ream()
        source = self.folder / "words"
        source.write_bytes(os.urandom(300_000))
        harness.run("cp", image, source, ":/words")
        before = harness.run_json("df", image)[0]["size"]
        harness.run("grow", image, "--size", "512M")
        report = harness.run_json("df", image)[0]
        self.assertGreater(report["size"], before + 300 * MEBIBYTE)
        self.assertEqual(len(report["arenas"]), 12)
        self.assertTrue(harness.run("cat", image, "/words").stdout == source.read_bytes())
        self.assert_clean(image)

    def test_growing_by_too_little_or_shrinking_is_refused(self):
        image = self.ream()
        size = image.stat().st_size
        harness.run("grow", image, status=7)
        harness.run("grow", image, "--size", "64M", status=2)
        harness.run("grow", image, "--size", "+1G", "--dry-run")
        self.assertEqual(image.stat().st_size, size)
        self.assert_clean(image)


if __name__ == "__main__":
    unittest.main()
