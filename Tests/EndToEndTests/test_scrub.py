"""gefs scrub: on an image and through its server, what it finds, and what is kept of it."""
import json
import os
import time

import harness
from test_verbs import both_ways

MEBIBYTE = 1 << 20


def damage(image, content):
    """Inverts a byte of the one block that begins with this content; where it lies."""
    with open(image, "r+b") as file:
        address = 0
        while True:
            block = file.read(16384)
            assert block, "the content is not in the image"
            if block.startswith(content):
                break
            address += 16384
        file.seek(address + 5)
        byte = file.read(1)
        file.seek(address + 5)
        file.write(bytes([byte[0] ^ 0xff]))
    return address


def write(image, path, content):
    harness.run("cp", image, "-", ":" + path, stdin=content)


class Scrub(harness.TemporaryFolder):
    @both_ways
    def test_sound(self, image):
        write(image, "/file", os.urandom(3 * MEBIBYTE))
        report, = harness.run_json("scrub", image, "--status")
        self.assertEqual((report["type"], report["state"]), ("scrub", "never"))
        report, = harness.run_json("scrub", image, "--rate", "1G")
        self.assertEqual((report["state"], report["findings"]), ("done", 0))
        self.assertGreater(report["bytes"], 3 * MEBIBYTE)
        status, = harness.run_json("scrub", image, "--status")
        self.assertEqual(status, report)
        info, = harness.run_json("info", image)
        self.assertEqual(info["scrub"]["state"], "done")
        harness.run("scrub", image, "--rate", "nothing", status=2)

    def test_damage(self):
        content = os.urandom(40000)
        image = self.ream(size=512 << 20)
        harness.run("mkdir", image, "/dir")
        write(image, "/dir/bad", content)
        write(image, "/good", b"good")
        harness.run("snap", "create", image, "main", "one")
        address = damage(image, content[:64])
        for way in ("image", "server"):
            server = self.serve(image) if way == "server" else None
            result = harness.run("scrub", image, "--json", "--rate", "1G", status=3)
            found, report = [json.loads(line) for line in result.stdout.splitlines()]
            self.assertEqual((found["type"], found["block"]), ("damage", hex(address)))
            self.assertEqual(found["files"], ["main/dir/bad", "one/dir/bad"])
            self.assertFalse(found["moreFiles"])
            self.assertEqual((report["state"], report["findings"]), ("done", 1))
            # The error is that of the one file.
            harness.run("cat", image, "/dir/bad", status=6)
            self.assertEqual(harness.run("cat", image, "/good").stdout, b"good")
            if server:
                self.assertEqual(server.halt(), 0, server.output())
        text = harness.run("scrub", image, "--status", status=3).stdout.decode()
        self.assertIn("hits one/dir/bad", text)
        self.assertIn("1 damaged block", harness.run_text("info", image))

    def test_served(self):
        """Pausing, going on, cancelling; and writing and deleting meanwhile."""
        image = self.ream(size=512 << 20)
        server = self.serve(image)
        write(image, "/file", os.urandom(4 * MEBIBYTE))
        harness.run("snap", "create", image, "main", "old")
        report, = harness.run_json("scrub", image, "--rate", "64K", "--detach")
        self.assertEqual(report["state"], "running")
        harness.run("scrub", image, status=5)
        self.assertEqual(harness.run_json("scrub", image, "--pause")[0]["state"], "paused")
        write(image, "/file", os.urandom(MEBIBYTE))
        harness.run("snap", "delete", "--yes", image, "old")
        self.assertEqual(harness.run_json("scrub", image, "--resume")[0]["state"], "running")
        self.assertEqual(harness.run_json("scrub", image, "--cancel")[0]["state"], "cancelled")
        self.assertEqual(harness.run_json("ctl", image, "scrub", "--rate", "1G")[-1]["state"], "done")
        self.assertEqual(server.halt(), 0, server.output())
        self.assert_clean(image)

    def test_scheduled(self):
        image = self.ream(size=512 << 20)
        server = self.serve(image, "--scrub", "1s")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if harness.run_json("scrub", image, "--status")[0]["state"] == "done":
                break
            time.sleep(0.2)
        else:
            self.fail("no scrub began by itself: " + server.output())
        self.assertEqual(server.halt(), 0, server.output())
        harness.run("serve", image, "--scrub", "often", status=2)
