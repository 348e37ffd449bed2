"""kill -9 under load: what was synced is there, and the disk is whole."""
import os
import random
import threading
import time
import unittest

import harness
import ninep


class Writer(threading.Thread):
    """Writes files round and round, and syncs; remembers what was acknowledged as durable."""

    def __init__(self, server, number, contents, durable, seed):
        super().__init__(daemon=True)
        self.server, self.number = server, number
        self.contents, self.durable = contents, durable
        self.chance = random.Random(seed)
        self.syncs = 0

    def run(self):
        try:
            with self.server.connect() as connection:
                root = connection.attach("glenda", "main")
                directory = "/w%d" % self.number
                try:
                    root.make_directory(directory)
                except ninep.ServerError:
                    pass
                while True:
                    self.step(root, directory)
        except (OSError, EOFError, ninep.ServerError):
            # The server was killed; nothing is owed after that.
            return

    def step(self, root, directory):
        path = "%s/%d" % (directory, self.chance.randrange(40))
        value = self.chance.randrange(1 << 30)
        if path in self.contents and self.chance.randrange(4) == 0:
            self.contents[path] = None
            root.remove(path)
        else:
            self.contents[path] = value
            # A file says who wrote it in each of its bytes, so that a mixture shows.
            root.put(path, harness_bytes(value))
        if self.chance.randrange(12) == 0:
            before = dict(self.contents)
            root.sync()
            self.durable.clear()
            self.durable.update(before)
            self.syncs += 1


def harness_bytes(value):
    return (b"%010d" % value) * (value % 6000)


class Crashes(harness.TemporaryFolder):
    def test_kills_under_load_lose_nothing_that_was_synced(self):
        kills = int(os.environ.get("GEFS_KILLS", "8"))
        chance = random.Random(harness.SEED)
        image = self.ream(size=1 << 30)
        states = [({}, {}) for _ in range(4)]
        syncs = 0
        for kill in range(kills):
            server = self.serve(image, "--commit-interval", "0.2")
            writers = [Writer(server, number, *states[number], harness.SEED + kill * 100 + number)
                       for number in range(len(states))]
            for writer in writers:
                writer.start()
            time.sleep(0.2 + chance.random())
            server.kill()
            for writer in writers:
                writer.join(60)
                self.assertFalse(writer.is_alive(), "a client hangs")
            syncs += sum(writer.syncs for writer in writers)
            harness.run("check", image)
            self.compare(image, states, kill)
        self.assertGreater(syncs, 0)
        if harness.ORACLE.exists():
            status, output = harness.oracle("check", image)
            self.assertEqual(status, 0, output)
        # A stop in good order gives back what the crashes left.
        server = self.serve(image)
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            for number, (contents, _) in enumerate(states):
                for entry in root.list("/w%d" % number):
                    root.remove("/w%d/%s" % (number, entry.name))
        self.assertEqual(server.halt(), 0, server.output())
        self.assert_clean(image)

    def compare(self, image, states, kill):
        """What is on the disk is what was synced, or something newer that was written."""
        server = self.serve(image)
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            for number, (contents, durable) in enumerate(states):
                found = {}
                try:
                    entries = root.list("/w%d" % number)
                except ninep.ServerError:
                    entries = []
                    self.assertFalse(durable, "kill %d: a synced directory is gone" % kill)
                for entry in entries:
                    path = "/w%d/%s" % (number, entry.name)
                    found[path] = root.get(path)
                for path, value in durable.items():
                    if value is not None and contents.get(path) == value:
                        self.assertTrue(found.get(path) == harness_bytes(value),
                                        "kill %d: %s is not what was synced" % (kill, path))
                for path, data in found.items():
                    if data:
                        # Whole pieces of one writer's value: a prefix, for a write cut short.
                        value = int(data[:10])
                        self.assertTrue(harness_bytes(value).startswith(data), "kill %d: %s" % (kill, path))
                contents.clear()
                contents.update({path: int(data[:10]) if data else 0 for path, data in found.items()})
                durable.clear()
                durable.update(contents)
        self.assertEqual(server.halt(), 0, server.output())


if __name__ == "__main__":
    unittest.main()
