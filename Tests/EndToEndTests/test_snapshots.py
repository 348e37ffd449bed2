"""Branches and snapshots: the verbs, the consoles, and clients that are attached meanwhile."""
import json
import re
import socket
import subprocess
import unittest

import harness
import ninep
from test_verbs import both_ways


def names(image):
    """The labels of an image, and which of them follow writes."""
    return {item["name"]: item["mutable"] for item in harness.run_json("snap", "list", image)
            if item["type"] == "label"}


def refused(*arguments, status=1):
    """What a verb says that refuses."""
    return harness.run(*arguments, status=status).stderr.decode()


class Console:
    """The console's socket."""

    def __init__(self, image):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect("%s.cmd" % image)
        self.greeting = self.answer()

    def answer(self):
        data = b""
        while not data.endswith(b"gefs# "):
            piece = self.socket.recv(65536)
            if not piece:
                break
            data += piece
        return data.decode()

    def ask(self, line):
        self.socket.sendall(line.encode() + b"\n")
        return self.answer().removesuffix("gefs# ")

    def close(self):
        self.socket.close()


class Verbs(harness.TemporaryFolder):
    @both_ways
    def test_labels_come_and_go(self, image):
        harness.run("cp", image, "-", ":/f", stdin=b"one")
        self.assertEqual(harness.run_text("snap", "create", image, "main", "first"), "labeled: first from main\n")
        self.assertEqual(harness.run_text("snap", "fork", image, "first", "work"), "forked: work from first\n")
        harness.run("cp", image, "-", ":/f", stdin=b"two")
        harness.run("cp", image, "-", "work:/f", stdin=b"three")
        report, = harness.run_json("snap", "create", image, "work", "second")
        self.assertEqual(report, {"type": "labelChange", "action": "create", "name": "second", "from": "work"})
        self.assertEqual(names(image), {"adm": True, "empty": False, "main": True, "first": False, "work": True,
                                        "second": False})
        for label, contents in (("main", "two"), ("first", "one"), ("work", "three"), ("second", "three")):
            self.assertEqual(harness.run_text("cat", image, label + ":/f"), contents)
        harness.run("cp", image, "-", "first:/f", stdin=b"no", status=1)
        self.assertEqual(harness.run_text("snap", "rename", image, "work", "feature"), "renamed: work to feature\n")
        harness.run("cp", image, "-", "feature:/g", stdin=b"still a branch")
        harness.run("snap", "delete", image, "first", status=2)
        self.assertEqual(harness.run_text("snap", "delete", image, "first", "feature", "--yes"),
                         "deleted: first\ndeleted: feature\n")
        self.assertEqual(harness.run_text("cat", image, "second:/f"), "three")
        self.assertEqual(names(image), {"adm": True, "empty": False, "main": True, "second": False})

    @both_ways
    def test_what_is_refused_says_why(self, image):
        harness.run("snap", "create", image, "main", "one")
        self.assertIn("gefs: one: a branch or snapshot of that name exists\n      choose another name",
                      refused("snap", "create", image, "main", "one"))
        for verb in ("create", "fork"):
            self.assertIn("gefs: nowhere: no such branch or snapshot\n      gefs snap list",
                          refused("snap", verb, image, "nowhere", "x"))
        self.assertIn("no such branch", refused("snap", "rename", image, "nowhere", "x"))
        self.assertIn("no such branch", refused("snap", "delete", image, "nowhere", "--yes"))
        self.assertIn("no such branch", refused("snap", "rollback", image, "nowhere", "one"))
        self.assertIn("no such branch", refused("snap", "rollback", image, "main", "nowhere"))
        self.assertIn("one: is a snapshot", refused("snap", "rollback", image, "one", "main"))
        for name in ("adm", "empty", "dump"):
            self.assertIn("reserved", refused("snap", "create", image, "main", name))
            self.assertIn("reserved", refused("snap", "delete", image, name, "--yes"))
            # Before anybody is asked.
            refused("snap", "delete", image, name)
        self.assertIn("no such branch", refused("snap", "delete", image, "one", "nowhere"))
        for name in ("", ".", "..", "a/b", "%x", "-x", "a b", "x" * 300):
            refused("snap", "create", image, "main", "--", name, status=2)
        error = json.loads(refused("snap", "create", image, "main", "one", "--json"))
        self.assertEqual((error["type"], error["what"], error["status"]), ("error", "one", 1))
        # All of them, or none.
        self.assertIn("no such branch", refused("snap", "delete", image, "one", "nowhere", "--yes"))
        self.assertEqual(names(image), {"adm": True, "empty": False, "main": True, "one": False})

    @both_ways
    def test_patterns(self, image):
        for name in ("main@minute.1", "main@minute.2", "main@hour.1", "other"):
            harness.run("snap", "create", image, "main", name)
        plan = harness.run_text("snap", "delete", image, "--match", "main@minute.*", "--dry-run")
        self.assertIn("main@minute.2", plan)
        self.assertNotIn("hour", plan)
        harness.run("snap", "delete", image, "--match", "main@minute.*", status=2)
        self.assertEqual(len(names(image)), 7)
        harness.run("snap", "delete", image, "--match", "main@minute.*", "--yes")
        self.assertEqual(sorted(names(image)), ["adm", "empty", "main", "main@hour.1", "other"])
        harness.run("snap", "delete", image, "--match", "nothing*", "--yes")
        # What cannot be deleted is not meant.
        harness.run("snap", "delete", image, "--match", "[!m]*", "--yes")
        self.assertEqual(sorted(names(image)), ["adm", "empty", "main", "main@hour.1"])

    @both_ways
    def test_rolling_back(self, image):
        harness.run("cp", image, "-", ":/f", stdin=b"old")
        harness.run("snap", "create", image, "main", "before")
        harness.run("cp", image, "-", ":/f", stdin=b"new")
        harness.run("cp", image, "-", ":/g", stdin=b"new")
        report, = harness.run_json("snap", "rollback", image, "main", "before")
        self.assertRegex(report["kept"], r"^main@before-rollback\.\d{4}\.\d\d\.\d\d_\d\d:\d\d:\d\d$")
        self.assertEqual(harness.run_text("cat", image, "/f"), "old")
        harness.run("cat", image, "/g", status=1)
        self.assertEqual(harness.run_text("cat", image, report["kept"] + ":/g"), "new")
        self.assertFalse(names(image)[report["kept"]])
        # And back again, twice within the same second.
        text = harness.run_text("snap", "rollback", image, "main", report["kept"])
        self.assertRegex(text, r"^rolled back: main to main@before\S*\nkept: main@before\S*, what main was before\n$")
        self.assertEqual(harness.run_text("cat", image, "/g"), "new")
        harness.run("snap", "rollback", image, "main", "before", "--keep", "tip")
        self.assertEqual(harness.run_text("cat", image, "tip:/g"), "new")
        harness.run("snap", "rollback", image, "main", "tip", "--discard", status=2)
        harness.run("snap", "rollback", image, "main", "tip", "--discard", "--keep", "x", status=2)
        self.assertIn("discard", harness.run_text("snap", "rollback", image, "main", "tip", "--discard", "--dry-run"))
        count = len(names(image))
        self.assertEqual(harness.run_text("snap", "rollback", image, "main", "tip", "--discard", "--yes"),
                         "rolled back: main to tip\n")
        self.assertEqual(len(names(image)), count)
        harness.run("cp", image, "-", ":/h", stdin=b"writable")
        self.assertEqual(harness.run_text("ls", image).split(), ["f", "g", "h"])

    def test_users_go_back_with_adm(self):
        image = self.ream()
        server = self.serve(image)
        harness.run("snap", "create", image, "adm", "users-before")
        harness.run("users", "add", image, "rob")
        with server.connect() as connection:
            connection.attach("rob", "main")
            harness.run("snap", "rollback", image, "adm", "users-before")
            with self.assertRaisesRegex(ninep.ServerError, "user does not exist"):
                connection.attach("rob", "main")
        # Nobody could open the image.
        self.assertIn("users", refused("snap", "rollback", image, "adm", "empty"))
        self.assertIn("users", refused("snap", "rollback", image, "adm", "main"))
        self.assertEqual(server.halt(), 0)
        self.assert_clean(image, leaks_max=2)


class Attached(harness.TemporaryFolder):
    def test_12_25_a_snapshot_that_was_visited_can_be_deleted(self):
        image = self.ream()
        server = self.serve(image)
        harness.run("snap", "create", image, "main", "one")
        with server.connect() as connection:
            dump = connection.attach("glenda", "dump")
            visit = dump.walk("one")
            failure = refused("snap", "delete", image, "one", "--yes", status=5)
            self.assertRegex(failure, r"^gefs: one: in use: .*\n      attached: glenda \(uid \d+\)")
            visit.clunk()
            harness.run("snap", "delete", image, "one", "--yes")
            self.assertNotIn("one", [entry.name for entry in dump.list()])
        self.assertEqual(server.halt(), 0)
        self.assert_clean(image)

    def test_12_26_reserved_names_leave_the_server_writable(self):
        image = self.ream()
        server = self.serve(image)
        console = Console(image)
        for line in ("snap main dump", "snap dump x", "snap -d adm", "snap -d empty", "snap -d dump", "snap main adm"):
            self.assertRegex(console.ask(line), "^snap: ", line)
        console.close()
        with server.connect() as connection:
            connection.attach("glenda").put("/f", b"still writable")
        self.assertEqual(server.halt(), 0)
        self.assertEqual(harness.run_text("cat", image, "/f"), "still writable")
        self.assert_clean(image)

    def test_12_52_refused_deletions_do_no_harm(self):
        for options in ([], ["--dialect", "N"]):
            with self.subTest(options=options):
                image = self.ream("refused%d.img" % len(options), harness.IMAGE_BYTES_MIN, *options)
                server = self.serve(image)
                harness.run("snap", "fork", image, "main", "work")
                with server.connect() as connection:
                    root = connection.attach("glenda", "work")
                    for _ in range(5):
                        refused("snap", "delete", image, "work", "--yes", status=5)
                    root.put("/f", b"x")
                harness.run("snap", "delete", image, "work", "--yes")
                self.assertEqual(server.halt(), 0, server.output())
                self.assert_clean(image)

    def test_rolling_back_under_attached_clients(self):
        image = self.ream()
        server = self.serve(image)
        with server.connect() as connection, server.connect() as other:
            root = connection.attach("glenda")
            root.put("/kept", b"old contents")
            root.make_directory("/d")
            root.put("/d/inside", b"1")
            harness.run("snap", "create", image, "main", "before")
            root.put("/kept", b"new")
            root.put("/later", b"gone soon")
            root.remove("/d/inside")
            later = root.walk("later").open()
            kept = root.walk("kept").open()
            elsewhere = other.attach("glenda")
            harness.run("snap", "rollback", image, "main", "before", "--keep", "after")
            # The old tree, at once, for everybody.
            self.assertEqual(sorted(entry.name for entry in elsewhere.list()), ["d", "kept"])
            self.assertEqual(kept.read_all(), b"old contents")
            self.assertEqual(elsewhere.get("/d/inside"), b"1")
            with self.assertRaisesRegex(ninep.ServerError, "phase error|not found"):
                later.stat()
            later.clunk()
            elsewhere.put("/d/new", b"goes on")
            self.assertEqual(root.get("/d/new"), b"goes on")
            self.assertEqual(connection.attach("glenda", "after").get("/later"), b"gone soon")
        self.assertEqual(server.halt(), 0, server.output())
        self.assert_clean(image)

    def test_a_branch_is_renamed_under_attached_clients(self):
        image = self.ream()
        server = self.serve(image)
        harness.run("snap", "fork", image, "main", "work")
        with server.connect() as connection:
            root = connection.attach("glenda", "work")
            root.put("/before", b"1")
            harness.run("snap", "rename", image, "work", "other")
            root.put("/after", b"2")
            self.assertEqual(connection.attach("glenda", "other").get("/after"), b"2")
            with self.assertRaisesRegex(ninep.ServerError, "bad specifier"):
                connection.attach("glenda", "work")
            self.assertIn("other", refused("snap", "delete", image, "other", "--yes", status=5))
            self.assertIn("attached: glenda", refused("snap", "delete", image, "other", "--yes", status=5))
            harness.run("snap", "fork", image, "main", "work")
            root.put("/again", b"3")
            root.sync()
            self.assertEqual(connection.attach("glenda", "work").list(), [])
        self.assertEqual(server.halt(), 0)
        self.assertEqual(harness.run_text("ls", image, "other:/").split(), ["after", "again", "before"])
        self.assert_clean(image)

    def test_a_snapshot_is_what_was_acknowledged(self):
        image = self.ream()
        server = self.serve(image, "--commit-interval", "3600")
        with server.connect() as connection:
            root = connection.attach("glenda")
            for index in range(20):
                root.put("/counter", b"%d" % index)
                harness.run("snap", "create", image, "main", "at-%d" % index)
        server.kill()
        for index in range(20):
            self.assertEqual(harness.run_text("cat", image, "at-%d:/counter" % index), str(index))
        harness.run("snap", "delete", image, "--match", "at-*", "--yes")
        self.assert_clean(image)


class Consoles(harness.TemporaryFolder):
    def test_the_console(self):
        image = self.ream()
        server = self.serve(image, "--commit-interval", "3600")
        path = self.folder / "test.img.cmd"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        console = Console(image)
        self.assertEqual(console.greeting, "gefs# ")
        self.assertEqual(console.ask("snap main one"), "labeled: one from main\n")
        self.assertEqual(console.ask("snap -m one two"), "forked: two from one\n")
        self.assertEqual(console.ask("snap -l"), "adm [mutable]\nempty\nmain [mutable]\none\ntwo [mutable]\n")
        self.assertEqual(console.ask("permit on"), "permissive: 0 → 1\n")
        with server.connect() as connection:
            root = connection.attach("glenda", "two")
            self.assertEqual(console.ask("snap -d two"), "snap: snap is mounted: 'two'\n")
            self.assertRegex(console.ask("show fid"), r"(?m)^uid \d+ \d+ glenda two /$")
            root.clunk()
            connection.attach("glenda").put("/unsynced", b"but acknowledged")
        self.assertEqual(console.ask("snap -d two"), "deleted: two\n")
        # 12.15: what was acknowledged before the halt is there after it.
        self.assertEqual(console.ask("halt"), "gefs: ending...\n")
        self.assertEqual(server.wait(), 0, server.output())
        console.close()
        self.assertFalse(path.exists())
        self.assertEqual(harness.run_text("cat", image, "/unsynced"), "but acknowledged")
        self.assert_clean(image)

    def test_a_stale_console_is_replaced(self):
        image = self.ream()
        self.serve(image).kill()
        self.assertTrue((self.folder / "test.img.cmd").exists())
        server = self.serve(image)
        self.assertEqual(Console(image).ask("sync"), "synced\n")
        self.assertEqual(server.halt(), 0)

    def test_every_command_of_ctl(self):
        image = self.ream()
        server = self.serve(image)
        self.assertEqual(harness.run_text("ctl", image, "snap", "main", "one"), "labeled: one from main\n")
        self.assertEqual(harness.run_text("ctl", image, "fork", "main", "two"), "forked: two from main\n")
        self.assertEqual(harness.run_text("ctl", image, "delsnap", "two"), "deleted: two\n")
        self.assertEqual(harness.run_json("ctl", image, "snap", "-l")[0],
                         {"type": "name", "name": "adm", "mutable": True})
        self.assertEqual(harness.run_text("ctl", image, "reserve", "off"), "reserve: 1 → 0\n")
        for words in (["show", "users"], ["show", "bstate"], ["show", "free"], ["show", "tree"], ["debug", "3"],
                      ["save", "trace"], ["df"], ["check"]):
            self.assertTrue(harness.run_text("ctl", image, *words), words)
        harness.run("ctl", image, "show", "nothing", status=2)
        harness.run("ctl", image, "reserve", status=2)
        self.assertEqual(server.halt(), 0)

    def test_the_file_ctl_of_dialect_n(self):
        image = self.ream("n.img", harness.IMAGE_BYTES_MIN, "--dialect", "N")
        server = self.serve(image, "--commit-interval", "3600")
        connection = server.connect()
        adm = connection.attach("glenda", "adm")
        self.assertEqual(sorted(entry.name for entry in adm.list()), ["ctl", "status", "users"])

        def tell(line, root=adm):
            file = root.walk("ctl").open(ninep.OWRITE | ninep.OTRUNC)
            try:
                file.write_at(0, line)
            finally:
                file.clunk()

        tell(b"snap main one\n")
        tell(b"fork one two\n")
        text = adm.get("/status").decode()
        self.assertRegex(text, r"^gefs p9\nusage \d+ \d+ \d+\n")
        self.assertLess(text.index("snap one\n"), text.index("fork two\n"))
        # 12.55: for its own reason.
        for line, reason in ((b"delsnap absent", "snap -- does not exist"), (b"snap absent x", "snap -- does not exist"),
                             (b"fork main " + b"x" * 64, "snap -- bad name"), (b"snap main one", "snap -- already exists"),
                             (b"retain absent 1@m", "snap -- does not exist|invalid"), (b"dance", "invalid control message")):
            with self.assertRaisesRegex(ninep.ServerError, reason):
                tell(line)
        with self.assertRaisesRegex(ninep.ServerError, "permission denied"):
            tell(b"sync", connection.attach("none", "adm"))
        tell(b"delsnap two\n")
        connection.attach("glenda").put("/unsynced", b"but acknowledged")
        tell(b"halt\n")
        self.assertEqual(server.wait(), 0, server.output())
        connection.close()
        self.assertEqual(harness.run_text("cat", image, "/unsynced"), "but acknowledged")
        self.assert_clean(image)

    def test_users_are_edited_one_after_the_other(self):
        image = self.ream()
        server = self.serve(image)
        editors = [subprocess.Popen([harness.BINARY, "users", "add", str(image), "user%d" % index])
                   for index in range(12)]
        self.assertEqual([editor.wait(60) for editor in editors], [0] * 12)
        listed = harness.run_json("users", "list", image)
        self.assertEqual(len({user["id"] for user in listed}), 15)
        with server.connect() as connection:
            for index in range(12):
                connection.attach("user%d" % index)
            # Another client's edit is not lost, and a broken one is not built upon.
            adm = connection.attach("glenda", "adm")
            text = adm.get("/users")
            adm.put("/users", text + b"99:extra:extra:\n")
            harness.run("users", "add", image, "last")
            self.assertTrue(adm.get("/users").endswith(b"99:extra:extra:\n14:last:last:\n"))
            adm.put("/users", b"-1:adm::glenda\n0:none::\n1:glenda")
            self.assertIn("adm:/users", refused("users", "add", image, "more"))
            connection.attach("last")
            adm.put("/users", text)
            self.assertRegex(Console(image).ask("users remove user3"), r"^\d+:user3:user3:\n$")
            with self.assertRaisesRegex(ninep.ServerError, "user does not exist"):
                connection.attach("user3")
        self.assertIn("no name", refused("users", "add", image, "x", "--member", "a\n5:b::", status=2))
        self.assertEqual(server.halt(), 0)
        self.assert_clean(image, leaks_max=2)

    def test_12_53_a_read_only_server_answers(self):
        for options in ([], ["--dialect", "N"]):
            with self.subTest(options=options):
                image = self.ream("readonly%d.img" % len(options), harness.IMAGE_BYTES_MIN, *options)
                harness.run("snap", "create", image, "main", "one")
                server = self.serve(image, "--read-only")
                with server.connect(timeout=20) as connection:
                    root = connection.attach("glenda")
                    root.sync()
                    for attempt in (lambda: root.put("/f", b"x"), lambda: root.change(mode=0o700 | ninep.DMDIR)):
                        with self.assertRaisesRegex(ninep.ServerError, "read only"):
                            attempt()
                    if options:
                        adm = connection.attach("glenda", "adm")
                        # As the disk has it.
                        self.assertEqual(adm.get("/status"), b"")
                        control = adm.walk("ctl").open(ninep.OWRITE)
                        with self.assertRaisesRegex(ninep.ServerError, "read only"):
                            control.write_at(0, b"delsnap one")
                for words in (["create", image, "main", "two"], ["fork", image, "main", "two"],
                              ["delete", image, "one", "--yes"], ["rename", image, "one", "two"],
                              ["rollback", image, "main", "one"]):
                    self.assertIn("file system read only", refused("snap", *words))
                self.assertEqual(len(names(image)), 4)
                self.assertEqual(server.halt(), 0)
                self.assert_clean(image)


if __name__ == "__main__":
    unittest.main()
