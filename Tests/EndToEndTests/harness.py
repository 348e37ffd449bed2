"""What the end-to-end tests share: the program, servers, images, the oracle."""
import importlib.util
import json
import lzma
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import ninep

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("GEFS_SHARED", ROOT.parent / "shared"))
ORACLE = SHARED / "tools" / "gefs_oracle.py"
SEED = int(os.environ.get("GEFS_SEED") or random.randrange(1 << 31))
MEBIBYTE = 1 << 20
# The smallest device that can be reamed: FORMAT.md, "Ream".
IMAGE_BYTES_MIN = 128 * MEBIBYTE + 16384


def binary():
    """The program to test: $GEFS_BINARY, or the newest build."""
    chosen = os.environ.get("GEFS_BINARY")
    if chosen:
        return chosen
    built = [ROOT / ".build" / kind / "gefs" for kind in ("release", "debug")]
    built = sorted((path for path in built if path.exists()), key=lambda path: path.stat().st_mtime)
    if not built:
        sys.exit("gefs: end-to-end: there is no built program; run `make build`, or set GEFS_BINARY")
    return str(built[-1])


BINARY = binary()


def needs_shared(test):
    """Marks a test that needs the folder with reference images and the oracle."""
    reason = "needs reference images and the oracle: there is no %s" % SHARED
    return unittest.skipUnless(ORACLE.exists(), reason)(test)


def reference_images():
    return sorted(path.name[:-len(".img.xz")] for path in (SHARED / "images").glob("*.img.xz"))


def load_p9():
    """The project's independent 9P client, as a module."""
    spec = importlib.util.spec_from_file_location("p9", SHARED / "tools" / "p9.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments, status=0, stdin=None, environment=None, timeout=300):
    """Runs the program; fails the test where it ends otherwise than expected."""
    clean = {key: value for key, value in os.environ.items() if key != "GEFS_IMAGE"}
    clean.update(environment or {})
    result = subprocess.run([BINARY, *map(str, arguments)], input=stdin, capture_output=True, timeout=timeout,
                            env=clean, **({} if stdin is not None else {"stdin": subprocess.DEVNULL}))
    if status is not None and result.returncode != status:
        raise AssertionError("gefs %s: exit status %d, expected %d\nstdout: %s\nstderr: %s" % (
            " ".join(map(str, arguments)), result.returncode, status,
            result.stdout[-2000:].decode(errors="replace"), result.stderr[-2000:].decode(errors="replace")))
    return result


def wait_until(condition, seconds=60):
    """Looks again and again until something has come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come true within %d s" % seconds)
        time.sleep(0.01)


def run_text(*arguments, **options):
    return run(*arguments, **options).stdout.decode("utf-8", "surrogateescape")


def run_json(*arguments, **options):
    """The objects that a verb prints with --json."""
    lines = run_text(*arguments, "--json", **options).splitlines()
    objects = [json.loads(line) for line in lines]
    for item in objects:
        assert "type" in item, item
    return objects


def oracle(*arguments):
    """Runs the oracle; returns its exit status and its output."""
    result = subprocess.run([sys.executable, os.fspath(ORACLE), *map(str, arguments)], capture_output=True,
                            text=True, errors="surrogateescape", timeout=900)
    return result.returncode, result.stdout + result.stderr


class TemporaryFolder(unittest.TestCase):
    """A test with a folder of its own, whose servers end with it."""

    def setUp(self):
        # Short, since the path of a unix socket has to fit 107 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gefs-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def ream(self, name="test.img", size=IMAGE_BYTES_MIN, *options):
        image = self.folder / name
        run("ream", image, "--size", str(size), "--user", "glenda", *options)
        return image

    def serve(self, image, *options, **named):
        server = Server(image, *options, **named)
        self.addCleanup(server.kill)
        return server

    def assert_clean(self, image, leaks_max=0):
        """Our checker finds nothing; nor does the oracle, where it is at hand.

        Of branch adm two blocks are born in generation 0, and by the format nobody frees those: a test that
        changes adm allows for them.
        """
        strict = [] if leaks_max else ["--strict"]
        report = run_json("check", image, *strict)[-1]
        self.assertLessEqual(report["leakedBlocks"], leaks_max)
        if ORACLE.exists():
            status, output = oracle("check", *strict, image)
            self.assertEqual(status, 0, output)

    def unpack(self, name):
        """A reference image and its manifest, unpacked into the test's folder."""
        paths = []
        for kind in ("img", "manifest.json"):
            target = self.folder / ("%s.%s" % (name, kind))
            with lzma.open(SHARED / "images" / ("%s.%s.xz" % (name, kind))) as packed, open(target, "wb") as plain:
                copy_sparse(packed, plain)
            paths.append(target)
        return paths


def copy_sparse(source, target):
    while True:
        piece = source.read(MEBIBYTE)
        if not piece:
            break
        if piece.count(0) == len(piece):
            target.seek(len(piece), os.SEEK_CUR)
        else:
            target.write(piece)
    target.truncate(target.tell())


class Server:
    """`gefs serve` on an image, ready when the constructor returns.

    Without `snapshots` it makes no automatic ones, so that the labels are those of the test.
    """

    def __init__(self, image, *options, wait=True, snapshots=False):
        self.image = pathlib.Path(image)
        self.address = "unix!%s.9p" % self.image
        self.control = pathlib.Path("%s.sock" % self.image)
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = "\0gefs-test-%d-%d" % (os.getpid(), id(self))
        self.notified.bind(name)
        environment = dict(os.environ, NOTIFY_SOCKET="@" + name[1:])
        environment.pop("GEFS_IMAGE", None)
        self.log = tempfile.TemporaryFile()
        command = [BINARY, "serve", os.fspath(image), "--listen", "unix:%s.9p" % image, *map(str, options)]
        if not snapshots:
            command.append("--no-snapshots")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env=environment, start_new_session=True)
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds=120):
        """Waits for the notice that clients can connect."""
        self.notified.settimeout(0.2)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if b"READY=1" in self.notified.recv(4096):
                    return
            except socket.timeout:
                if self.process.poll() is not None:
                    break
        status = self.process.poll()
        self.kill()
        raise AssertionError("the server is not ready (exit status %s): %s" % (status, self.output()))

    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def connect(self, **options):
        return ninep.Connection(self.address, **options)

    def halt(self):
        """Stops the server in good order through its control socket."""
        result = run("ctl", self.control, "halt", status=None)
        if result.returncode != 0:
            raise AssertionError("ctl halt: exit status %d: %s; server: %s: %s" % (
                result.returncode, result.stderr.decode(errors="replace"), self.process.poll(), self.output()))
        return self.wait()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.wait()

    def wait(self, seconds=120):
        status = self.process.wait(seconds)
        self.notified.close()
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.notified.close()


def scale():
    """How much bigger than usual tests are to be."""
    return int(os.environ.get("GEFS_SCALE", "1"))
