"""Undo, merge and try: files that go from one branch to another."""
import os
import pty
import signal
import subprocess
import time
import unittest

import harness
from test_verbs import both_ways


class Undo(harness.TemporaryFolder):
    @both_ways
    def test_files_come_back(self, image):
        large = os.urandom(300000)
        harness.run("mkdir", image, "/d", "/d/sub")
        harness.run("cp", image, "-", ":/d/a", stdin=large)
        harness.run("cp", image, "-", ":/d/b", stdin=b"old")
        harness.run("cp", image, "-", ":/d/sub/c", stdin=b"deep")
        harness.run("chmod", image, "0600", "/d/b")
        harness.run("snap", "create", image, "main", "before")
        listed = harness.run_json("ls", image, "-l", "main:/d", "main:/d/sub")
        harness.run("rm", "-r", "-y", image, "/d/sub", "/d/a")
        harness.run("cp", image, "-", ":/d/b", stdin=b"new and longer")
        harness.run("chmod", image, "0644", "/d/b")
        harness.run("cp", image, "-", ":/d/n", stdin=b"stays")
        dry = harness.run_json("undo", image, "main@before:/d", "--dry-run")
        self.assertEqual(harness.run_text("cat", image, "/d/b"), "new and longer")
        done = harness.run_json("undo", image, "main@before:/d")
        self.assertEqual([item for item in done if item["type"] == "transplant"],
                         [item for item in dry if item["type"] == "transplant"])
        self.assertEqual(done[-1]["type"], "restore")
        self.assertEqual(done[-1]["copiedFiles"], 3)
        self.assertGreaterEqual(done[-1]["copiedBytes"], len(large))
        self.assertEqual(harness.run("cat", image, "/d/a").stdout, large)
        self.assertEqual(harness.run_text("cat", image, "/d/sub/c", "/d/b"), "deepold")
        self.assertEqual(harness.run_text("cat", image, "/d/n"), "stays")
        self.assertIn("nothing to do", harness.run_text("undo", image, "main@before", "/d"))
        harness.run("undo", image, "main@before", "/d", "--delete")
        again = harness.run_json("ls", image, "-l", "main:/d", "main:/d/sub")
        keys = ("path", "mode", "size", "modified", "owner", "group", "modifiedBy")
        self.assertEqual([[item[key] for key in keys] for item in again],
                         [[item[key] for key in keys] for item in listed])

    @both_ways
    def test_what_cannot_come_back_says_why(self, image):
        harness.run("cp", image, "-", ":/f", stdin=b"one")
        harness.run("snap", "create", image, "main", "before")
        error = harness.run("undo", image, "main@before:/nowhere", status=1).stderr.decode()
        self.assertIn("gefs: main@before:/nowhere: no such file or directory", error)
        error = harness.run("undo", image, "before:/f", status=2).stderr.decode()
        self.assertIn("--into", error)
        harness.run("undo", image, "before:/f", "--into", "main")
        harness.run("undo", image, "before:/f", "--into", "before", status=1)
        harness.run("undo", image, "main@before", status=2)
        harness.run("rm", "-y", image, "/f")
        harness.run("mkdir", image, "/f", "/f/g")
        error = harness.run("undo", image, "main@before:/f", status=1).stderr.decode()
        self.assertIn("gefs: /f: a directory that is new", error)
        harness.run("undo", image, "main@before:/f", "--delete")
        self.assertEqual(harness.run_text("cat", image, "/f"), "one")


class Merge(harness.TemporaryFolder):
    @both_ways
    def test_a_fork_is_merged(self, image):
        harness.run("cp", image, "-", ":/both", stdin=b"base")
        harness.run("cp", image, "-", ":/theirs", stdin=b"base")
        harness.run("snap", "fork", image, "main", "fork")
        harness.run("cp", image, "-", "fork:/theirs", stdin=b"fork")
        harness.run("cp", image, "-", "fork:/new", stdin=b"new")
        harness.run("cp", image, "-", ":/mine", stdin=b"mine")
        dry = harness.run_text("snap", "merge", image, "fork", "into", "main", "--dry-run")
        self.assertIn("A /new\nM /theirs\nwould merge", dry)
        harness.run("cat", image, "/new", status=1)
        done = harness.run_json("snap", "merge", image, "fork", "into", "main")[-1]
        self.assertEqual((done["conflicts"], done["copiedFiles"], done["copiedBytes"]), (0, 2, 2 * 16384))
        self.assertEqual(harness.run_text("cat", image, "/theirs", "/new", "/mine"), "forknewmine")
        self.assertIn("nothing to do", harness.run_text("snap", "merge", image, "fork", "into", "main"))
        harness.run("cp", image, "-", "fork:/both", stdin=b"one")
        harness.run("cp", image, "-", ":/both", stdin=b"two")
        conflict, result = harness.run_json("snap", "merge", image, "fork", "into", "main", status=3)
        self.assertEqual((conflict["type"], conflict["conflict"], conflict["path"]), ("conflict", "contents", "/both"))
        self.assertEqual((result["type"], result["conflicts"], result["entries"]), ("merge", 1, 0))
        self.assertEqual(harness.run_text("cat", image, "/both"), "two")
        harness.run("snap", "merge", image, "fork", "into", "main", "--ours")
        self.assertEqual(harness.run_text("cat", image, "/both"), "two")
        harness.run("snap", "merge", image, "fork", "into", "main", "--theirs")
        self.assertEqual(harness.run_text("cat", image, "/both"), "one")
        harness.run("snap", "delete", image, "fork", "-y")
        self.assertEqual(harness.run_text("cat", image, "/both", "/new"), "onenew")

    def test_wrong_words(self):
        image = self.ream()
        for words in (("main", "main"), ("main", "into", "main"), ("a", "into", "b", "c")):
            harness.run("snap", "merge", image, *words, status=2)
        harness.run("snap", "merge", image, "adm", "into", "main", status=1)
        harness.run("snap", "merge", image, "nowhere", "into", "main", status=1)


class Try(harness.TemporaryFolder):
    SCRIPT = ('"%s" cp - :/f < /dev/stdin && "%s" cat /f && '
              'test -S "$GEFS_SOCKET" && test "$GEFS_BRANCH" = "$GEFS_ATTACH"' % (harness.BINARY, harness.BINARY))

    def labels(self, image):
        return {item["name"] for item in harness.run_json("snap", "list", image) if item["type"] == "label"}

    @both_ways
    def test_a_command_is_tried(self, image):
        harness.run("cp", image, "-", ":/f", stdin=b"before")
        before = self.labels(image)
        write = ("--", "sh", "-c", self.SCRIPT)
        text = harness.run_text("try", image, "--discard", *write, stdin=b"tried")
        self.assertEqual(text, "triedM /f\n")
        self.assertEqual(self.labels(image), before)
        self.assertEqual(harness.run_text("cat", image, "/f"), "before")
        harness.run("try", image, "--keep", "kept", *write, stdin=b"kept")
        self.assertEqual(self.labels(image), before | {"kept"})
        self.assertEqual(harness.run_text("cat", image, "/f", "kept:/f"), "beforekept")
        harness.run("try", image, "--apply", *write, stdin=b"applied")
        self.assertEqual(harness.run_text("cat", image, "/f"), "applied")
        self.assertEqual(self.labels(image), before | {"kept"})

    def test_a_terminal_is_asked(self):
        image = self.ream()
        for answers, shows, kept, there in (
                (b"x\ns\nd\n", 2, False, False), (b"k\n", 1, True, False), (b"a\n", 2, False, True)):
            before = self.labels(image)
            main, side = pty.openpty()
            process = subprocess.Popen(
                [harness.BINARY, "try", image, "--ask", "--", harness.BINARY, "mkdir", ":/made"],
                stdin=side, stdout=side, stderr=side)
            os.close(side)
            os.write(main, answers)
            shown = b""
            while True:
                try:
                    more = os.read(main, 4096)
                except OSError:
                    break
                if not more:
                    break
                shown += more
            self.assertEqual(process.wait(), 0, shown)
            os.close(main)
            self.assertIn(b"(a)pply to main", shown)
            self.assertEqual(shown.count(b"A /made"), shows, shown)
            self.assertEqual(len(self.labels(image) - before), 1 if kept else 0, shown)
            self.assertEqual("made" in harness.run_text("ls", image), there)

    @both_ways
    def test_exit_status_and_failures(self, image):
        before = self.labels(image)
        harness.run("try", image, "--discard", "--", "sh", "-c", "exit 7", status=7)
        harness.run("try", image, "--discard", "--", "sh", "-c", "kill -9 $$", status=137)
        harness.run("try", image, "--", "/no/such/command", status=1)
        harness.run("try", image, "--ask", "--", "true", status=2)
        harness.run("try", image, "--apply", "--discard", "--", "true", status=2)
        harness.run("try", image, status=2)
        harness.run("try", image, "--branch", "nowhere", "--", "true", status=1)
        # Nothing was changed, so that nothing is worth keeping.
        harness.run("try", image, "--", "true")
        self.assertEqual(self.labels(image), before)
        # A command that failed is not applied, but not lost.
        harness.run("try", image, "--apply", "--", "sh", "-c", self.SCRIPT + " && exit 3", stdin=b"x", status=3)
        harness.run("cat", image, "/f", status=1)
        kept = self.labels(image) - before
        self.assertEqual(len(kept), 1)
        self.assertEqual(harness.run_text("cat", image, kept.pop() + ":/f"), "x")

    @both_ways
    def test_a_conflict_keeps_the_fork(self, image):
        harness.run("cp", image, "-", ":/f", stdin=b"before")
        before = self.labels(image)
        command = self.SCRIPT + ' && echo main | "%s" cp - main:/f' % harness.BINARY
        text = harness.run_text("try", image, "--apply", "--", "sh", "-c", command, stdin=b"fork", status=3)
        self.assertIn("C /f", text)
        self.assertEqual(harness.run_text("cat", image, "/f"), "main\n")
        self.assertEqual(len(self.labels(image) - before), 1)

    def test_signals_reach_the_command(self):
        image = self.ream()
        before = self.labels(image)
        ready = self.folder / "ready"
        for number in (signal.SIGTERM, signal.SIGHUP):
            command = [harness.BINARY, "try", image, "--discard", "--", "sh", "-c",
                       "trap 'exit 5' TERM HUP; touch %s; while :; do sleep 0.05; done" % ready]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not ready.exists() and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(number)
            self.assertEqual(process.wait(60), 5)
            ready.unlink()
            self.assertEqual(self.labels(image), before)
        self.assert_clean(image)
