"""Many clients at once, clients that vanish, and bytes that are no 9P."""
import os
import random
import socket
import struct
import threading
import time
import unittest

import harness
import ninep


class ManyClients(harness.TemporaryFolder):
    def test_64_clients_mix_reads_and_writes(self):
        image = self.ream(size=1 << 30)
        server = self.serve(image)
        failures = []
        expected = {}

        def work(number):
            try:
                chance = random.Random(harness.SEED + number)
                with server.connect(timeout=120) as connection:
                    root = connection.attach("glenda", "main")
                    root.make_directory("/c%d" % number)
                    mine = {}
                    for step in range(40 * harness.scale()):
                        path = "/c%d/f%d" % (number, chance.randrange(12))
                        data = bytes([number]) * chance.randrange(60_000)
                        root.put(path, data)
                        mine[path] = data
                        other = chance.choice(sorted(mine))
                        if root.get(other) != mine[other]:
                            failures.append("%s differs" % other)
                        if step % 16 == 0:
                            root.sync()
                    expected.update(mine)
            except Exception as error:  # Whatever it is, the test is to name it.
                failures.append("client %d: %r" % (number, error))

        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(240)
            self.assertFalse(thread.is_alive(), "a client hangs")
        self.assertEqual(failures, [])
        self.assertEqual(server.halt(), 0, server.output())
        self.assert_clean(image)
        for path in random.Random(harness.SEED).sample(sorted(expected), 20):
            self.assertTrue(harness.run("cat", image, path).stdout == expected[path], path)


class BadClients(harness.TemporaryFolder):
    def setUp(self):
        super().setUp()
        self.image = self.ream()
        self.server = self.serve(self.image)

    def finish(self):
        """The server is as good as before."""
        with self.server.connect() as connection:
            root = connection.attach("glenda", "main")
            root.put("/after", b"still here")
            self.assertEqual(root.get("/after"), b"still here")
        self.assertIsNone(self.server.process.poll(), self.server.output())
        self.assertEqual(self.server.halt(), 0, self.server.output())
        self.assert_clean(self.image)

    def raw(self):
        connection = socket.socket(socket.AF_UNIX)
        # Blocking: a queue of connections that is full for a moment is no failure.
        connection.connect(self.server.address.split("!", 1)[1])
        connection.settimeout(20)
        return connection

    def test_garbage_closes_the_connection_and_nothing_else(self):
        chance = random.Random(harness.SEED)
        for _ in range(200):
            with self.raw() as connection:
                try:
                    connection.sendall(chance.randbytes(chance.randrange(1, 4000)))
                except (BrokenPipeError, ConnectionResetError):
                    pass
        self.finish()

    def test_garbage_behind_a_good_version_is_refused(self):
        chance = random.Random(harness.SEED)
        for _ in range(200):
            with self.server.connect() as connection:
                body = chance.randbytes(chance.randrange(0, 300))
                kind = chance.choice([*range(98, 130), chance.randrange(256)])
                try:
                    connection.socket.sendall(ninep.frame(kind, chance.randrange(1 << 16), body))
                    connection.socket.settimeout(0.02)
                    connection.receive()
                except (OSError, EOFError):
                    pass
        self.finish()

    def test_mutated_sessions_neither_hang_nor_end_the_server(self):
        chance = random.Random(harness.SEED)
        session = [
            ninep.frame(ninep.TATTACH, 1, struct.pack("<II", 1, ninep.NOFID) + ninep.text("glenda") + ninep.text("")),
            ninep.frame(ninep.TWALK, 2, struct.pack("<IIH", 1, 2, 0)),
            ninep.frame(ninep.TCREATE, 3, struct.pack("<I", 2) + ninep.text("m") + struct.pack("<IB", 0o666, 2)),
            ninep.frame(ninep.TWRITE, 4, struct.pack("<IQI", 2, 0, 100) + b"x" * 100),
            ninep.frame(ninep.TREAD, 5, struct.pack("<IQI", 2, 0, 8192)),
            ninep.frame(ninep.TSTAT, 6, struct.pack("<I", 2)),
            ninep.frame(ninep.TWSTAT, 7, struct.pack("<IH", 2, 49) + ninep.changes(length=10)),
            ninep.frame(ninep.TREMOVE, 8, struct.pack("<I", 2)),
        ]
        for _ in range(150):
            data = bytearray(b"".join(session))
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            with self.server.connect() as connection:
                try:
                    connection.socket.sendall(data)
                    connection.socket.settimeout(0.05)
                    while connection.socket.recv(65536):
                        pass
                except (OSError, EOFError):
                    pass
        self.finish()

    def test_clients_that_vanish_in_the_middle_of_a_message(self):
        for cut in range(1, 120, 7):
            with self.server.connect() as connection:
                root = connection.attach("glenda", "main")
                file = root.walk().create_here("vanish-%d" % cut)
                message = ninep.frame(ninep.TWRITE, 9, struct.pack("<IQI", file.fid, 0, 5000) + os.urandom(5000))
                connection.socket.sendall(message[:cut])
        self.finish()

    def test_a_client_that_reads_no_replies_does_not_hold_up_others(self):
        with self.server.connect() as deaf:
            root = deaf.attach("glenda", "main")
            root.put("/big", b"z" * 1_000_000)
            file = root.walk("/big").open()
            deaf.socket.settimeout(3)
            request = ninep.frame(ninep.TREAD, 1, struct.pack("<IQI", file.fid, 0, 65000))
            try:
                for tag in range(3000):
                    deaf.socket.sendall(request[:5] + struct.pack("<H", tag) + request[7:])
            except OSError:
                pass
            started = time.monotonic()
            with self.server.connect() as connection:
                connection.attach("glenda", "main").put("/meanwhile", b"quick")
            self.assertLess(time.monotonic() - started, 10)
        self.finish()

    def test_a_flushed_request_is_answered_first(self):
        with self.server.connect() as connection:
            root = connection.attach("glenda", "main")
            file = root.walk().create_here("flushed")
            body = struct.pack("<IQI", file.fid, 0, 4000) + b"f" * 4000
            connection.send(ninep.TWRITE, body, 5)
            connection.send(ninep.TFLUSH, struct.pack("<H", 5), 6)
            kinds = [connection.receive()[:2] for _ in range(2)]
            self.assertEqual(kinds, [(ninep.RWRITE, 5), (ninep.RFLUSH, 6)])
        self.finish()


if __name__ == "__main__":
    unittest.main()
