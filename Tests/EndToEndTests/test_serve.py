"""How a server starts, who may connect, and how it ends."""
import json
import os
import shutil
import signal
import socket
import subprocess
import unittest

import harness
import ninep


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Serving(harness.TemporaryFolder):
    def test_signals_commit_and_end_with_zero(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                image = self.ream("signal-%d.img" % number)
                server = self.serve(image, "--commit-interval", "3600")
                with server.connect() as connection:
                    connection.attach("glenda", "main").put("/unsynced", b"but acknowledged")
                self.assertEqual(server.stop(number), 0, server.output())
                self.assertFalse(server.control.exists(), "the control socket was left behind")
                self.assertEqual(harness.run_text("cat", image, "/unsynced"), "but acknowledged")
                self.assert_clean(image)

    def test_halt_returns_when_the_image_can_be_opened(self):
        image = self.ream()
        server = self.serve(image, "--commit-interval", "3600")
        with server.connect() as connection:
            connection.attach("glenda", "main").put("/unsynced", b"but acknowledged")
        harness.run("ctl", image, "halt")
        # At once, without waiting for the process.
        harness.run("check", image, "--strict")
        self.assertEqual(server.wait(), 0, server.output())
        self.assertEqual(harness.run_text("cat", image, "/unsynced"), "but acknowledged")

    def test_a_stale_socket_is_replaced(self):
        image = self.ream()
        server = self.serve(image)
        server.kill()
        self.assertTrue(server.control.exists())
        self.assertEqual(harness.run_text("ls", image), "")
        server = self.serve(image)
        self.assertEqual(server.halt(), 0, server.output())

    def test_a_second_server_is_busy(self):
        image = self.ream()
        server = self.serve(image)
        result = harness.run("serve", image, status=5)
        self.assertIn(b"busy", result.stderr)
        self.assertEqual(harness.run_json("info", image)[0]["server"]["process"], server.process.pid)
        self.assertEqual(server.halt(), 0)

    def test_what_cannot_be_served(self):
        harness.run("serve", self.folder / "absent.img", status=4)
        plain = self.folder / "plain"
        plain.write_bytes(b"not a gefs" * 100_000)
        harness.run("serve", plain, status=4)
        harness.run("serve", self.folder, status=4)
        image = self.ream()
        for address in ("nonsense", "127.0.0.1:99999", "unix:", "tcp!1.2.3.4", "unix:" + "x" * 200):
            harness.run("serve", image, "--listen", address, status=2)
        harness.run("serve", image, "--msize", "5", status=2)

    def test_tcp_needs_auth_none(self):
        image = self.ream()
        port = free_port()
        result = harness.run("serve", image, "--listen", "127.0.0.1:%d" % port, status=2)
        self.assertIn(b"--auth none", result.stderr)
        server = self.serve(image, "--listen", "127.0.0.1:%d" % port, "--auth", "none")
        with ninep.Connection("tcp!127.0.0.1!%d" % port) as connection:
            connection.attach("glenda").put("/over-tcp", b"hello")
        self.assertEqual(harness.run_text("cat", image, "/over-tcp"), "hello")
        self.assertEqual(server.halt(), 0)

    def test_the_control_socket_is_private_and_speaks_9p(self):
        image = self.ream()
        server = self.serve(image)
        self.assertEqual(server.control.stat().st_mode & 0o777, 0o600)
        with ninep.Connection("unix!%s" % server.control) as connection:
            connection.attach("glenda", "main").put("/by-control", b"yes")
            file = connection.attach("adm", ".ctl").walk("ctl").open(ninep.ORDWR)
            file.write_at(0, b"permit on\n")
            self.assertEqual(file.read_all().decode(), "permissive: 0 → 1\n")
            file.write_at(0, b"sync\n")
            self.assertEqual(file.read_all(), b"synced\n")
            file.write_at(0, b"dance\n")
            self.assertIn(b"unknown command 'dance'", file.read_all())
            file.write_at(0, b'{"type":"request","words":["df"]}\n')
            lines = [json.loads(line) for line in file.read_all().splitlines()]
            self.assertEqual([line["type"] for line in lines], ["space", "end"])
        self.assertEqual(server.halt(), 0)

    def test_standard_input_and_output(self):
        image = self.ream()
        process = subprocess.Popen([harness.BINARY, "serve", str(image), "--stdio", "--auth", "none"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdin.write(ninep.frame(ninep.TVERSION, ninep.NOTAG, b"\x00\x20\x00\x00" + ninep.text("9P2000")))
        process.stdin.flush()
        self.assertEqual(process.stdout.read(19)[4], ninep.RVERSION)
        process.stdin.close()
        self.assertEqual(process.wait(30), 0)
        process.stdout.close()
        self.assert_clean(image)

    def test_a_socket_that_is_passed_in(self):
        image = self.ream()
        with socket.socket(socket.AF_UNIX) as listener:
            path = str(self.folder / "passed")
            listener.bind(path)
            listener.listen(16)
            # The shell takes the number of the process before it becomes the server.
            script = 'exec 3<&%d; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"' % listener.fileno()
            process = subprocess.Popen(["bash", "-c", script, "bash", harness.BINARY, "serve", str(image)],
                                       pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(process.kill)
            with ninep.Connection("unix!" + path) as connection:
                connection.attach("glenda", "main").put("/passed", b"in")
            process.terminate()
            self.assertEqual(process.wait(30), 0)
        self.assertEqual(harness.run_text("cat", image, "/passed"), "in")

    def test_read_only_refuses_changes_and_writes_nothing(self):
        image = self.ream()
        before = image.read_bytes()
        server = self.serve(image, "--read-only")
        with server.connect() as connection:
            root = connection.attach("glenda", "main")
            with self.assertRaisesRegex(ninep.ServerError, "file system read only"):
                root.put("/no", b"way")
            root.sync()
        harness.run("mkdir", image, "/no", status=1)
        self.assertEqual(server.halt(), 0, server.output())
        self.assertTrue(image.read_bytes() == before)

    @unittest.skipUnless(os.geteuid() == 0, "takes another user: needs root")
    def test_other_users_are_held_to_their_names(self):
        image = self.ream()
        os.chmod(self.folder, 0o755)
        server = self.serve(image)
        socket_path = server.address.split("!", 1)[1]
        os.chmod(socket_path, 0o777)
        script = "import sys; sys.path.insert(0, %r); import ninep\n" % str(harness.ROOT / "Tests" / "EndToEndTests")
        script += (
            "c = ninep.Connection(%r)\nfor user, tree in (('none', ''), ('glenda', ''), ('none', '%%main')):\n"
            "    try:\n        c.attach(user, tree); print('ok')\n"
            "    except ninep.ServerError as e: print(e)\n" % server.address)
        # The sources may lie where nobody else can read them.
        copied = self.folder / "ninep.py"
        shutil.copy(harness.ROOT / "Tests" / "EndToEndTests" / "ninep.py", copied)
        os.chmod(copied, 0o644)
        script = script.replace(str(harness.ROOT / "Tests" / "EndToEndTests"), str(self.folder))
        found = subprocess.run(["python3", "-B", "-c", script], capture_output=True, text=True, timeout=60,
                               user=65534, group=65534, extra_groups=[])
        self.assertEqual(found.stdout.splitlines(),
                         ["ok", "attach -- unknown user or failed authentication", "permission denied"], found.stderr)
        self.assertEqual(server.halt(), 0)


class FullDisk(harness.TemporaryFolder):
    def test_a_full_disk_refuses_and_can_still_delete(self):
        image = self.ream()
        server = self.serve(image)
        with server.connect(timeout=120) as connection:
            root = connection.attach("glenda", "main")
            written = {}
            piece = os.urandom(1 << 20)
            with self.assertRaisesRegex(ninep.ServerError, "file system full"):
                for number in range(1000):
                    path = "/fill-%d" % number
                    root.put(path, b"")
                    file = root.walk(path).open(ninep.OWRITE)
                    written[path] = 0
                    for offset in range(0, len(piece), 32768):
                        file.write_at(offset, piece[offset:offset + 32768])
                        written[path] = offset + 32768
                    file.clunk()
            self.assertGreater(sum(written.values()), 90 << 20)
            root.sync()
            # What was acknowledged before is there.
            for path, length in written.items():
                self.assertTrue(root.get(path) == piece[:length], path)
            for path in written:
                root.remove(path)
            root.sync()
            root.put("/again", piece)
            root.sync()
            self.assertTrue(root.get("/again") == piece)
        self.assertEqual(server.halt(), 0, server.output())
        self.assert_clean(image)

    def test_what_does_not_fit_is_not_begun(self):
        image = self.ream()
        source = self.folder / "large"
        source.write_bytes(os.urandom(150 << 20))
        harness.run("cp", image, source, ":/large", status=7)
        self.assertEqual(harness.run_text("ls", image), "")


@unittest.skipUnless(shutil.which("9p"), "plan9port's 9p is not installed")
class Plan9Port(harness.TemporaryFolder):
    def test_9p_lists_reads_and_writes(self):
        image = self.ream()
        server = self.serve(image)

        def nine(*arguments, stdin=b""):
            return subprocess.run(["9p", "-a", server.address, *arguments], input=stdin, capture_output=True,
                                  check=True, timeout=60).stdout

        environment = dict(os.environ, USER="glenda")
        os.environ.update(environment)
        harness.run("cp", image, "-", ":/hello", stdin=b"hello, world\n")
        self.assertEqual(nine("read", "hello"), b"hello, world\n")
        self.assertEqual(nine("ls", "/").split(), [b"hello"])
        nine("write", "hello", stdin=b"HELLO")
        self.assertEqual(harness.run("cat", image, "/hello").stdout, b"HELLO")
        self.assertEqual(server.halt(), 0)
        self.assert_clean(image)


if __name__ == "__main__":
    unittest.main()
