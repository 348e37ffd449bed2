"""A real server on a disk that fails: it says so, serves what it has, and loses nothing that was synced.

The disk fails in two ways: a library of ours that is preloaded into the server gives errors and short transfers
on any machine; nbdkit with its error and delay filters, as a file through nbdfuse, gives them where those programs
and FUSE are.
"""
import os
import pathlib
import random
import shutil
import signal
import subprocess
import threading
import time
import unittest

import harness
import ninep

HERE = pathlib.Path(__file__).resolve().parent
EIO, ENOSPC = 5, 28


class FaultyServer(harness.Server):
    """A server whose image file fails as it is told to."""

    def __init__(self, image, library, plan, *options):
        self.plan = plan
        self.healthy()
        os.environ.update(GEFS_FAULTS=str(plan), GEFS_FAULTS_IMAGE=str(image), LD_PRELOAD=str(library))
        try:
            super().__init__(image, *options)
        finally:
            for name in ("GEFS_FAULTS", "GEFS_FAULTS_IMAGE", "LD_PRELOAD"):
                del os.environ[name]

    def fail(self, *words):
        """The disk fails from now on."""
        fresh = self.plan.with_suffix(".new")
        fresh.write_text(" ".join(map(str, words)) + "\n")
        fresh.rename(self.plan)

    def healthy(self):
        self.fail("none")


class FailingDisk(harness.TemporaryFolder):
    library = None

    @classmethod
    def setUpClass(cls):
        compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("clang")
        if not compiler or not pathlib.Path("/proc/self").exists():
            raise unittest.SkipTest("needs a C compiler and a loader that knows LD_PRELOAD")
        cls.build = harness.tempfile.mkdtemp(prefix="gefs-faulty-")
        cls.library = pathlib.Path(cls.build) / "faulty_disk.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", cls.library, HERE / "faulty_disk.c", "-ldl",
                        "-lpthread"], check=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.build, ignore_errors=True)

    def serve_faulty(self, image, *options):
        server = FaultyServer(image, self.library, self.folder / "plan", "--commit-interval", "3600", *options)
        self.addCleanup(server.kill)
        return server

    def assert_refuses(self, server, connection, root, reason):
        """Changes and syncs are refused, reads work, and whoever asks is told why."""
        for _ in range(2):
            with self.assertRaises(ninep.ServerError) as caught:
                root.sync()
            self.assertEqual(str(caught.exception), "i/o error")
        with self.assertRaises(ninep.ServerError) as caught:
            root.put("/refused", b"x")
        self.assertEqual(str(caught.exception), "file system read only")
        self.assertEqual(root.get("/synced"), b"s" * 50000)
        self.assertEqual(root.get("/dirty"), b"d" * 50000)
        information = harness.run_json("info", server.control)[0]
        self.assertIn(reason, information["failure"])
        self.assertTrue(information["readOnly"])
        space = harness.run_json("df", server.control)[0]
        self.assertIn(reason, space["failure"])
        self.assertIn("changes are refused from now on", server.output())
        self.assertIn(reason, server.output())

    def check_failure(self, words, reason, ends_by):
        image = self.ream()
        server = self.serve_faulty(image)
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            root.put("/synced", b"s" * 50000)
            root.sync()
            harness.run("sync", server.control, status=None)
            root.put("/dirty", b"d" * 50000)
            server.fail(*words)
            with self.assertRaises(ninep.ServerError):
                root.sync()
            # Well again; nobody tries whether it is true.
            server.healthy()
            self.assert_refuses(server, connection, root, reason)
        if ends_by == "halt":
            result = harness.run("ctl", server.control, "halt", status=None)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(reason, result.stderr.decode())
            self.assertEqual(server.wait(), 1, server.output())
        else:
            self.assertEqual(server.stop(signal.SIGTERM), 1, server.output())
        self.assertIn("what was synced before is on the disk", server.output())
        self.assert_synced(image)

    def assert_synced(self, image):
        report = harness.run_json("check", image)[-1]
        self.assertEqual(report["leakedBlocks"], 0)
        self.assertEqual(harness.run("cat", image, "/synced").stdout, b"s" * 50000)
        harness.run("cat", image, "/dirty", status=None)
        if harness.ORACLE.exists():
            status, output = harness.oracle("check", image)
            self.assertEqual(status, 0, output)

    def test_a_failed_write(self):
        self.check_failure(("write", "fail", EIO), "Input/output error", "halt")

    def test_a_host_without_room(self):
        self.check_failure(("write", "fail", ENOSPC), "No space left on device", "signal")

    def test_a_failed_flush(self):
        self.check_failure(("flush", "fail", EIO), "flush: Input/output error", "halt")

    def test_a_failed_superblock(self):
        self.check_failure(("write", "fail", EIO, 0, 100), "write of 16384 bytes at 0x0", "signal")

    def test_short_and_interrupted_transfers_are_gone_on_with(self):
        image = self.ream()
        server = self.serve_faulty(image, "--cache", "16M")
        chance = random.Random(harness.SEED)
        contents = {}
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            for words in [("all", "short"), ("all", "intr"), ("write", "short"), ("read", "intr")]:
                server.fail(*words)
                for _ in range(12):
                    name = "/f%d" % chance.randrange(20)
                    contents[name] = chance.randbytes(chance.randrange(1, 700000))
                    root.put(name, contents[name])
                root.sync()
                for name, data in contents.items():
                    self.assertTrue(root.get(name) == data, name)
            server.fail("all", "short")
        self.assertEqual(server.halt(), 0, server.output())
        server = self.serve_faulty(image)
        server.fail("read", "short")
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            for name, data in contents.items():
                self.assertTrue(root.get(name) == data, name)
        self.assertEqual(server.halt(), 0, server.output())
        self.assert_clean(image)

    def test_read_errors_are_those_of_one_operation(self):
        image = self.ream()
        server = self.serve_faulty(image)
        data = os.urandom(3 << 20)
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            root.put("/a", data)
            root.put("/b", b"b" * 100)
            root.sync()
        self.assertEqual(server.halt(), 0)
        server = self.serve_faulty(image)
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            self.assertEqual(root.get("/b"), b"b" * 100)
            server.fail("read", "fail", EIO)
            with self.assertRaises(ninep.ServerError) as caught:
                root.get("/a")
            self.assertEqual(str(caught.exception), "i/o error")
            self.assertEqual(root.get("/b"), b"b" * 100)
            server.healthy()
            # The disk is well: the volume never stopped taking changes.
            self.assertTrue(root.get("/a") == data)
            root.put("/c", b"c")
            root.sync()
        self.assertEqual(server.halt(), 0, server.output())
        self.assert_clean(image)

    def test_lost_writes_are_errors_and_never_wrong_data(self):
        image = self.ream()
        server = self.serve_faulty(image)
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            root.put("/whole", b"w" * 40000)
            root.sync()
            root.put("/lost", b"l" * 1000000)
            # The data is lost, which is written in long runs; what points to it is not.
            server.fail("write", "lose", 100000)
            root.sync()
        server.healthy()
        self.assertEqual(server.halt(), 0, server.output())
        server = self.serve_faulty(image)
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            with self.assertRaises(ninep.ServerError) as caught:
                root.get("/lost")
            self.assertEqual(str(caught.exception), "block contents corrupted")
            self.assertTrue(root.get("/whole") == b"w" * 40000)
            # The rest goes on, and so does the file once it has other contents.
            root.put("/lost", b"found")
            root.put("/other", b"o" * 300000)
            root.sync()
            self.assertEqual(root.get("/lost"), b"found")
        self.assertIn("hash", server.output())
        self.assertEqual(server.halt(), 0, server.output())
        self.assert_clean(image)

    def test_clients_that_wait_are_answered_when_the_disk_fails(self):
        image = self.ream(size=512 << 20)
        server = self.serve_faulty(image, "--cache", "64M")
        ended, errors = [], []

        def work(number):
            try:
                with server.connect(timeout=60) as connection:
                    root = connection.attach("glenda", "main")
                    for round in range(100000):
                        root.put("/%d.%d" % (number, round % 5), b"x" * 200000)
                        if round % 10 == number % 10:
                            root.sync()
            except ninep.ServerError as error:
                errors.append(str(error))
            except OSError as error:
                errors.append(repr(error))
            ended.append(number)

        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(16)]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        server.fail("write", "fail", EIO)
        for thread in threads:
            thread.join(60)
        self.assertEqual(len(ended), 16, "clients hang")
        self.assertTrue(set(errors) <= {"i/o error", "file system read only"}, errors)
        self.assertEqual(server.stop(signal.SIGTERM), 1, server.output())
        harness.run("check", image)


def has_network_disk():
    return all(shutil.which(name) for name in ("nbdkit", "nbdfuse")) and os.geteuid() == 0 \
        and os.access("/dev/fuse", os.R_OK | os.W_OK)


@unittest.skipUnless(has_network_disk(), "needs root, nbdkit, nbdfuse (package libnbd-bin) and FUSE")
class NetworkDisk(harness.TemporaryFolder):
    """The image is nbdkit's: its filters make the errors and the delays."""

    def attach(self, plain, *filters):
        """Shows an image as a file behind nbdkit's filters."""
        shown = self.folder / "nbd"
        shown.mkdir(exist_ok=True)
        process = subprocess.Popen(
            ["nbdfuse", shown, "--command", "nbdkit", "-s", *filters[0], "file", plain, *filters[1]],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.detach, process, shown)
        deadline = time.monotonic() + 20
        while not (shown / "nbd").exists():
            self.assertIsNone(process.poll(), "nbdfuse ended")
            self.assertLess(time.monotonic(), deadline, "nbdfuse does not come up")
            time.sleep(0.05)
        # The server puts its sockets beside the image, and that folder holds nothing but the image.
        place = self.folder / "disk.img"
        place.touch()
        subprocess.run(["mount", "--bind", shown / "nbd", place], check=True)
        return process, place

    def detach(self, process, shown):
        subprocess.run(["umount", self.folder / "disk.img"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["fusermount3" if shutil.which("fusermount3") else "fusermount", "-u", shown],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if process.poll() is None:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def work(self, server, synced):
        """Writes and syncs until something fails; returns what it was told."""
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            for round in range(200):
                contents = {"/f%d" % (round % 7): b"%05d" % round * 20000}
                try:
                    for name, data in contents.items():
                        root.put(name, data)
                    root.sync()
                except ninep.ServerError as error:
                    return str(error), root.get("/f%d" % ((round - 1) % 7)) if round else b""
                synced.update(contents)
        return None, None

    def attach_failing(self, plain, operation):
        """Shows an image whose reads or writes fail as soon as the file that is returned exists."""
        trigger = self.folder / ("%s-fails-now" % operation)
        process, image = self.attach(
            plain, ["--filter=error", "--filter=delay"],
            ["error-%s=EIO" % operation, "error-%s-rate=100%%" % operation, "error-%s-file=%s" % (operation, trigger),
             "rdelay=1ms", "wdelay=1ms"])
        return process, image, trigger

    def test_write_errors_of_a_network_disk(self):
        plain = self.ream("plain.img")
        process, image, trigger = self.attach_failing(plain, "pwrite")
        server = self.serve(image, "--commit-interval", "3600")
        threading.Timer(1.0, trigger.touch).start()
        synced = {}
        told, read = self.work(server, synced)
        self.assertIn(told, ("i/o error", "file system read only"))
        self.assertTrue(synced)
        self.assertEqual(len(read), 100000)
        reason = harness.run_json("info", server.control)[0]["failure"]
        self.assertIn("Input/output error", reason)
        self.assertEqual(server.stop(signal.SIGTERM), 1, server.output())
        self.detach(process, self.folder / "nbd")
        report = harness.run_json("check", plain)[-1]
        self.assertEqual(report["leakedBlocks"], 0)
        server = self.serve(plain)
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            for name, data in synced.items():
                found = root.get(name)
                self.assertTrue(found == data or found[:5] > data[:5], name)
        self.assertEqual(server.halt(), 0)
        self.assert_clean(plain)

    def test_read_errors_of_a_network_disk(self):
        plain = self.ream("plain.img")
        server = self.serve(plain)
        data = os.urandom(4 << 20)
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            root.put("/a", data)
        self.assertEqual(server.halt(), 0)
        process, image, trigger = self.attach_failing(plain, "pread")
        server = self.serve(image)
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            root.put("/b", b"b" * 1000)
            trigger.touch()
            with self.assertRaises(ninep.ServerError) as caught:
                root.get("/a")
            self.assertEqual(str(caught.exception), "i/o error")
            self.assertEqual(root.get("/b"), b"b" * 1000)
            trigger.unlink()
            self.assertTrue(root.get("/a") == data)
            root.sync()
        self.assertEqual(server.halt(), 0, server.output())
        self.detach(process, self.folder / "nbd")
        self.assert_clean(plain)


if __name__ == "__main__":
    unittest.main()
