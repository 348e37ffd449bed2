"""Many files, and large ones. GEFS_SCALE=20 makes it the 100,000 files and 1 GiB of the project's acceptance."""
import hashlib
import os
import random
import unittest

import harness
import ninep
from harness import MEBIBYTE


class Large(harness.TemporaryFolder):
    def test_many_files_and_large_files_are_clean_without_a_leak(self):
        scale = harness.scale()
        chance = random.Random(harness.SEED)
        image = self.ream("large.img", 16 << 30)
        server = self.serve(image)
        expected = {}
        with server.connect(msize=1 << 20, timeout=300) as connection:
            root = connection.attach("glenda", "main")
            self.nested(root, 5000 * scale, expected)
            self.one_directory(root, 5000 * scale, expected)
            self.large(root, 50 * MEBIBYTE * scale, chance, expected)
            self.change(root, chance, expected)
            root.sync()
        self.assertEqual(server.halt(), 0, server.output())
        self.assert_clean(image)
        server = self.serve(image)
        with server.connect(msize=1 << 20, timeout=300) as connection:
            root = connection.attach("glenda", "main")
            self.assertEqual(self.tree(root), {path: size for path, (size, _) in expected.items()})
            for path in chance.sample(sorted(expected), 300) + [path for path in expected if path.startswith("/large")]:
                self.assertEqual(self.digest(root, path), expected[path][1], path)
            for entry in root.list("/"):
                if entry.name == "flat":
                    for file in root.list("/flat"):
                        root.remove("/flat/" + file.name)
        self.assertEqual(server.halt(), 0, server.output())
        self.assert_clean(image)

    def note(self, expected, path, data):
        expected[path] = (len(data), hashlib.sha256(data).hexdigest())

    def nested(self, root, count, expected):
        """Directories of 10 directories of 10 ... with 100 files in each of the last."""
        made = 0
        while made < count:
            number = made // 100
            path = "/nested/%d/%d/%d" % (number // 100, number // 10 % 10, number % 10)
            names = path.strip("/").split("/")
            for depth in range(1, len(names) + 1):
                try:
                    root.make_directory("/" + "/".join(names[:depth]))
                except ninep.ServerError:
                    pass
            directory = root.walk(path)
            for index in range(100):
                data = b"%d/%d" % (number, index) * (index % 5)
                self.create(directory, "file-%d" % index, data)
                self.note(expected, "%s/file-%d" % (path, index), data)
            directory.clunk()
            made += 100

    def one_directory(self, root, count, expected):
        root.make_directory("/flat")
        directory = root.walk("/flat")
        for index in range(count):
            self.create(directory, "name-%d" % index, b"")
            self.note(expected, "/flat/name-%d" % index, b"")
        directory.clunk()

    def create(self, directory, name, data):
        file = directory.walk().create_here(name, 0o664, ninep.OWRITE)
        if data:
            file.write_at(0, data)
        file.clunk()

    def large(self, root, size, chance, expected):
        root.make_directory("/large")
        piece = chance.randbytes(MEBIBYTE)
        digest = hashlib.sha256()
        file = root.walk("/large").create_here("full", 0o664, ninep.OWRITE)
        for number in range(size // MEBIBYTE):
            part = b"%016d" % number + piece[16:]
            file.write_at(number * MEBIBYTE, part)
            digest.update(part)
        file.clunk()
        expected["/large/full"] = (size // MEBIBYTE * MEBIBYTE, digest.hexdigest())
        # A hole of a terabyte costs nothing.
        sparse = root.walk("/large").create_here("hole", 0o664, ninep.OWRITE)
        sparse.write_at(1 << 40, b"end")
        sparse.change(length=10)
        sparse.clunk()
        expected["/large/hole"] = (10, hashlib.sha256(b"\0" * 10).hexdigest())

    def change(self, root, chance, expected):
        """Renames, removes and truncates a tenth of the files."""
        paths = [path for path in expected if not path.startswith("/large")]
        for path in chance.sample(paths, len(paths) // 10):
            action = chance.randrange(3)
            size, _ = expected.pop(path)
            if action == 0:
                root.remove(path)
            elif action == 1:
                name = "renamed-%d" % chance.randrange(1 << 60)
                data = root.get(path)
                root.walk(path).change(name=name)
                self.note(expected, path.rsplit("/", 1)[0] + "/" + name, data)
            else:
                length = chance.randrange(size + 1)
                data = root.get(path)[:length]
                root.walk(path).change(length=length)
                self.note(expected, path, data)

    def tree(self, root):
        found, pending = {}, ["/"]
        while pending:
            path = pending.pop()
            for entry in root.list(path):
                child = os.path.join(path, entry.name)
                if entry.is_directory:
                    pending.append(child)
                else:
                    found[child] = entry.length
        return found

    def digest(self, root, path):
        file, digest, offset = root.walk(path).open(), hashlib.sha256(), 0
        while True:
            piece = file.read_at(offset, MEBIBYTE - 24)
            if not piece:
                break
            digest.update(piece)
            offset += len(piece)
        file.clunk()
        return digest.hexdigest()


if __name__ == "__main__":
    unittest.main()
