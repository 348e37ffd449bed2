"""kill -9 under load: what was synced is there, all else in the order it was done, and the disk is whole."""
import os
import random
import threading
import time
import unittest

import harness
import ninep

REMOVED = -1
EMPTY = 0
FILES = 16


def contents(value):
    """The bytes of a file that holds `value`: each stretch tells whose they are, so that a mixture shows."""
    return (b"%010d" % value) * (1 + value % 3000) if value > EMPTY else b""


class Client:
    """What one client knows: its files as of the last acknowledged sync, and each step since then."""

    def __init__(self, number):
        self.directory = "/w%d" % number
        self.number = number
        self.synced = {}
        # Steps are (file, value); noted before the server hears of them.
        self.steps = []
        self.is_made = False

    def settle(self, count):
        """The first `count` steps are durable."""
        for name, value in self.steps[:count]:
            apply(self.synced, name, value)
        del self.steps[:count]

    def explain(self, found):
        """How many steps after the last sync lead to `found`; None where no number does."""
        state = dict(self.synced)
        if state == found:
            return 0
        for index, (name, value) in enumerate(self.steps):
            apply(state, name, value)
            if state == found:
                return index + 1
        return None


def apply(state, name, value):
    if value == REMOVED:
        state.pop(name, None)
    else:
        state[name] = value


class Writer(threading.Thread):
    """Looks at what a kill has left of a client's files, then changes them until the next one."""

    def __init__(self, server, client, seed):
        super().__init__(daemon=True)
        self.server, self.client = server, client
        self.chance = random.Random(seed)
        self.syncs = 0
        self.operations = 0
        self.lost_steps = 0
        self.fault = None
        self.looked = threading.Event()

    def run(self):
        try:
            with self.server.connect(timeout=120) as connection:
                root = connection.attach("glenda", "main")
                self.look(root)
                self.looked.set()
                while self.fault is None:
                    self.step(root)
        except (OSError, EOFError, ninep.ServerError) as error:
            # The server was killed; nothing is owed after that. Before, nothing may fail.
            if not self.looked.is_set() or isinstance(error, ninep.ServerError):
                self.fault = self.fault or repr(error)
        finally:
            self.looked.set()

    def look(self, root):
        client, found = self.client, {}
        try:
            entries = root.list(client.directory)
        except ninep.ServerError:
            if client.is_made:
                self.fault = "a synced directory is gone"
                return
            root.make_directory(client.directory)
            root.sync()
            client.is_made = True
            entries = []
        client.is_made = True
        for entry in entries:
            data = root.get("%s/%s" % (client.directory, entry.name))
            value = int(data[:10]) if data else EMPTY
            if contents(value) != data:
                self.fault = "%s is a mixture" % entry.name
                return
            found[entry.name] = value
        done = client.explain(found)
        if done is None:
            self.fault = "state is none since the last sync: found %r, synced %r, steps %r" % (
                found, client.synced, client.steps)
            return
        self.lost_steps = len(client.steps) - done
        client.synced, client.steps = found, []

    def step(self, root):
        client = self.client
        name = str(self.chance.randrange(FILES))
        path = "%s/%s" % (client.directory, name)
        state = dict(client.synced)
        for step in client.steps:
            apply(state, *step)
        if name in state and self.chance.randrange(4) == 0:
            client.steps.append((name, REMOVED))
            root.remove(path)
        else:
            value = 1 + self.chance.randrange(1 << 30)
            client.steps += [(name, EMPTY), (name, value)]
            root.put(path, contents(value))
        self.operations += 1
        if self.chance.randrange(6) == 0:
            count = len(client.steps)
            root.sync()
            client.settle(count)
            self.syncs += 1


class Crashes(harness.TemporaryFolder):
    def test_kills_under_load_lose_nothing_that_was_synced(self):
        kills = int(os.environ.get("GEFS_KILLS", "5"))
        oracle_every = int(os.environ.get("GEFS_KILLS_ORACLE", "5"))
        clients = [Client(number) for number in range(int(os.environ.get("GEFS_KILL_CLIENTS", "64")))]
        chance = random.Random(harness.SEED)
        image = self.ream(size=1 << 30)
        totals = {"operations": 0, "syncs": 0, "lost": 0}
        for kill in range(kills + 1):
            server = self.serve(image, "--commit-interval", "0.2")
            writers = [Writer(server, client, harness.SEED + kill * 1000 + client.number) for client in clients]
            for writer in writers:
                writer.start()
            for writer in writers:
                self.assertTrue(writer.looked.wait(120), "kill %d: a client hangs" % kill)
            if kill < kills:
                time.sleep(chance.random() * 0.6)
                server.kill()
            else:
                # The last time in good order.
                self.assertEqual(server.halt(), 0, server.output())
            for writer in writers:
                writer.join(120)
                self.assertFalse(writer.is_alive(), "kill %d: a client hangs" % kill)
                self.assertIsNone(writer.fault if not self.ended(writer, kill, kills) else None,
                                  "kill %d, seed %d, client %d" % (kill, harness.SEED, writer.client.number))
            totals["operations"] += sum(writer.operations for writer in writers)
            totals["syncs"] += sum(writer.syncs for writer in writers)
            totals["lost"] += sum(writer.lost_steps for writer in writers)
            report = harness.run_json("check", image)[-1]
            self.assertEqual(report["leakedBlocks"], 0, "kill %d, seed %d" % (kill, harness.SEED))
            if kill % oracle_every == oracle_every - 1 and harness.ORACLE.exists():
                status, output = harness.oracle("check", image)
                self.assertEqual(status, 0, output)
            if kill % 50 == 49:
                print("        %d kills: %r" % (kill + 1, totals), flush=True)
        self.assertGreater(totals["syncs"], 0)
        print("        %d kills, %d clients: %d changes, %d syncs acknowledged and found, %d steps after them gone"
              % (kills, len(clients), totals["operations"], totals["syncs"], totals["lost"]), flush=True)
        self.assert_clean(image)

    def ended(self, writer, kill, kills):
        """Whether the writer was stopped by a server that ends in good order, which refuses what comes then."""
        return kill == kills and writer.fault is not None and writer.fault.startswith("ServerError")


if __name__ == "__main__":
    unittest.main()
