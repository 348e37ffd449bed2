"""Time as a name of trees, settings, and automatic snapshots, through the verbs and by 9P."""
import datetime
import json
import re
import time
import unittest

import harness
import ninep
from test_verbs import both_ways

# A look at the schedule, and then some.
LOOK_SECONDS = 5


def labels(image):
    return [item["name"] for item in harness.run_json("snap", "list", image) if item["type"] == "label"]


def refused(*arguments, status=1):
    return harness.run(*arguments, status=status).stderr.decode()


def eventually(holds, seconds=60):
    """What `holds` gives once that is true, or at last."""
    deadline = time.monotonic() + seconds
    while True:
        result = holds()
        if result or time.monotonic() > deadline:
            return result
        time.sleep(0.3)


class Names(harness.TemporaryFolder):
    @both_ways
    def test_states_of_a_branch_have_names(self, image):
        for text in (b"one", b"two", b"three"):
            harness.run("cp", image, "-", ":/f", stdin=text)
            harness.run("snap", "create", image, "main", "after-" + text.decode())
            time.sleep(1.1)
        harness.run("cp", image, "-", ":/f", stdin=b"four")
        second = next(item for item in harness.run_json("snap", "list", image) if item["name"] == "after-two")
        expected = {"main": "four", "main~0": "four", "main~1": "three", "main~2": "two", "main~3": "one",
                    "main@-0s": "three", "main@after-one": "one", "after-three~1": "two"}
        if "time" in second:
            expected["main@" + second["time"]] = "two"
        for name, text in expected.items():
            self.assertEqual(harness.run_text("cat", image, name + ":/f"), text, name)
        now = datetime.datetime.now(datetime.timezone.utc)
        for name in (now.strftime("main@%Y-%m-%dT%H:%M:%SZ"), now.strftime("main@%Y-%m-%dT%H:%M:%S+00:00")):
            self.assertEqual(harness.run_text("cat", image, name + ":/f"), "three", name)
        harness.run("cp", image, "-", "main~1:/f", stdin=b"x", status=1)
        # A snapshot of a state goes by its name, too.
        harness.run("snap", "create", image, "main~2", "again")
        self.assertEqual(harness.run_text("cat", image, "again:/f"), "two")

    @both_ways
    def test_what_is_not_there_is_said(self, image):
        harness.run("snap", "create", image, "main", "only")
        self.assertIn("main has 1 state", refused("cat", image, "main~2:/f"))
        self.assertRegex(refused("ls", image, "main@2020-01-01T10:00:/"),
                         r"oldest snapshot of main is only, of 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
        self.assertIn("neither a time nor a snapshot of main", refused("ls", image, "main@yesterday:/"))
        self.assertIn("no such branch or snapshot", refused("ls", image, "absent@-1m:/"))
        self.assertIn("adm has no snapshots", refused("ls", image, "adm@-1m:/"))

    def test_attach_names(self):
        image = self.ream()
        harness.run("cp", image, "-", ":/f", stdin=b"old")
        harness.run("snap", "create", image, "main", "first")
        server = self.serve(image)
        with server.connect() as connection:
            connection.attach("glenda", "%main").put("/f", b"new")
            for name in ("main~1", "main@-0s", "main@first", "%main@first"):
                tree = connection.attach("glenda", name)
                self.assertEqual(tree.get("/f"), b"old", name)
                with self.assertRaisesRegex(ninep.ServerError, "file system read only"):
                    tree.put("/g", b"x")
            for name in ("main~9", "main@2000-01-01", "main@nothing", "absent~1", "dump~0"):
                with self.assertRaisesRegex(ninep.ServerError, "attach -- bad specifier"):
                    connection.attach("glenda", name)
            dump = connection.attach("glenda", "dump")
            self.assertEqual(dump.walk("first").list()[0].name, "f")
            with self.assertRaisesRegex(ninep.ServerError, "directory entry not found"):
                dump.walk("main~1")
        self.assertEqual(server.halt(), 0)


class Settings(harness.TemporaryFolder):
    @both_ways
    def test_schedules_are_shown_and_set(self, image):
        def shown(*operands):
            return [(item.get("branch"), item["schedule"], item["source"])
                    for item in harness.run_json("snap", "retain", image, *operands)]

        default = "60@m 24@h @d"
        self.assertEqual(shown(), [(None, default, "standard"), ("adm", default, "standard"),
                                   ("main", default, "standard")])
        self.assertEqual(harness.run_text("snap", "retain", image, "main", "30@2m", "48@h"),
                         "main: 30@2m 48@h, has 0 snapshots\n")
        harness.run("snap", "retain", image, "-", "5@d")
        self.assertEqual(shown(), [(None, "5@d", "volume"), ("adm", "5@d", "volume"),
                                   ("main", "30@2m 48@h", "branch")])
        harness.run("snap", "retain", image, "main", "none")
        self.assertEqual(shown("main"), [("main", "", "branch")])
        for _ in range(2):
            harness.run("snap", "retain", image, "main", "default")
        self.assertEqual(shown("main"), [("main", "5@d", "volume")])

    @both_ways
    def test_12_55_bad_schedules_and_unknown_labels_are_refused(self, image):
        harness.run("snap", "retain", image, "main", "5@m")
        self.assertIn("'5@x' does not end in one of m, h and d",
                      refused("snap", "retain", image, "main", "5@x", status=2))
        refused("snap", "retain", image, "-", "5m", status=2)
        self.assertIn("absent: no such branch", refused("snap", "retain", image, "absent", "5@m"))
        harness.run("snap", "create", image, "main", "frozen")
        self.assertIn("frozen: is a snapshot", refused("snap", "retain", image, "frozen", "6@m"))
        self.assertEqual(harness.run_json("snap", "retain", image, "main")[0]["schedule"], "5@m")

    def test_12_28_settings_of_the_console(self):
        image = self.ream()
        server = self.serve(image)

        def console(*words, status=0):
            return harness.run("ctl", image, *words, status=status)

        console("set", "main", "retain", "3@m")
        console("set", "retain", "4@m")
        console("set", "note", "two words")
        self.assertIn(b"note: is not set", console("clear", "main", "note", status=1).stderr)
        console("clear", "note")
        self.assertIn(b"note: is not set", console("clr", "note", status=1).stderr)
        console("set", "retain", "4@y", status=2)
        console("set", "absent", "retain", "4@m", status=1)
        console("set", "gefs.time.main", "0", status=2)
        console("retain", "main", "7@m", "8@h")
        # 12.29: durable without a commit of anything else.
        server.kill()
        sources = {item.get("branch"): item["schedule"] for item in harness.run_json("snap", "retain", image)}
        self.assertEqual(sources, {None: "4@m", "adm": "4@m", "main": "7@m 8@h"})
        self.assert_clean(image)

    def test_the_file_ctl_of_dialect_n(self):
        image = self.ream("n.img", harness.IMAGE_BYTES_MIN, "--dialect", "N")
        server = self.serve(image)
        with server.connect() as connection:
            adm = connection.attach("glenda", "adm")

            def tell(line):
                file = adm.walk("ctl").open(ninep.OWRITE | ninep.OTRUNC)
                try:
                    file.write_at(0, line)
                finally:
                    file.clunk()

            tell(b"retain main 7@m 8@h\n")
            tell(b"retain - none\n")
            status = adm.get("/status").decode().splitlines()
            self.assertIn("conf main retain 7@m 8@h", status)
            self.assertIn("conf - retain ", status)
            tell(b"retain main default\n")
            tell(b"retain - default\n")
            self.assertNotIn("conf", adm.get("/status").decode())
            for line, reason in ((b"retain main 5@x", "syntax error"), (b"retain main", "invalid control message"),
                                 (b"retain absent 5@m", "snap -- does not exist")):
                with self.assertRaisesRegex(ninep.ServerError, reason):
                    tell(line)
        self.assertEqual(server.halt(), 0)
        self.assert_clean(image)


class Schedule(harness.TemporaryFolder):
    def test_a_server_makes_snapshots_of_branches_in_use(self):
        image = self.ream()
        harness.run("snap", "fork", image, "main", "idle")
        server = self.serve(image, snapshots=True)
        with server.connect() as connection:
            connection.attach("glenda").put("/f", b"data")
            stamped = re.compile(r"main@(minute|hour|day)\.20\d\d\.\d\d\.\d\d_\d\d:\d\d:\d\d")
            found = eventually(lambda: [name for name in labels(image) if stamped.fullmatch(name)])
            self.assertEqual([name.split("@")[1].split(".")[0] for name in found], ["day", "hour", "minute"])
            self.assertEqual(harness.run_text("cat", image, found[0] + ":/f"), "data")
            self.assertEqual(harness.run_text("cat", image, "main@-0s:/f"), "data")
            # What a lowered count leaves over goes at the next look.
            for second in range(3):
                harness.run("snap", "create", image, "main", "main@minute.2020.01.01_00:00:0%d" % second)
            harness.run("snap", "retain", image, "main", "1@m")
            self.assertTrue(eventually(lambda: not any("2020" in name for name in labels(image))))
        self.assertFalse([name for name in labels(image) if name.startswith("idle@")])
        server.kill()
        self.assert_clean(image)
        # A start finds what is there: no second snapshot of the hour and the day.
        server = self.serve(image, snapshots=True)
        with server.connect() as connection:
            connection.attach("glenda")
            harness.run("snap", "retain", image, "main", "default")
            before = labels(image)
            time.sleep(LOOK_SECONDS + 1.5)
            new = [name for name in labels(image) if name not in before]
            moment = datetime.datetime.now(datetime.timezone.utc)
            if moment.minute > 0:
                self.assertFalse([name for name in new if not name.startswith("main@minute")], new)
        self.assertEqual(server.halt(), 0, server.output())
        self.assert_clean(image)

    def test_no_snapshots_makes_none(self):
        image = self.ream()
        server = self.serve(image)
        with server.connect() as connection:
            connection.attach("glenda").put("/f", b"data")
            time.sleep(LOOK_SECONDS + 2)
        self.assertEqual(sorted(labels(image)), ["adm", "empty", "main"])
        self.assertEqual(server.halt(), 0)

    @harness.needs_shared
    def test_schedules_go_on_on_disks_of_the_original(self):
        for name in ("d-killed", "N-d-killed"):
            with self.subTest(image=name):
                image, manifest = self.unpack(name)
                before = labels(image)
                old = [label for label in before if "@minute." in label]
                self.assertTrue(old)
                server = self.serve(image, snapshots=True)
                with server.connect() as connection:
                    connection.attach("adm", "%main").put("/new", b"x" * 100000)
                    self.assertTrue(eventually(lambda: set(before) < set(labels(image))))
                    harness.run("snap", "retain", image, "-", "1@m 1@h 1@d")
                    self.assertTrue(eventually(lambda: not set(old) & set(labels(image))))
                # Of adm only dialect N has had snapshots, and goes on to.
                branches = {label.split("@")[0] for label in labels(image) if "@" in label}
                self.assertEqual(branches, {"main", "adm"} if name.startswith("N") else {"main"})
                self.assertEqual(server.halt(), 0, server.output())
                status, output = harness.oracle("check", image)
                self.assertEqual(status, 0, output)
                # What is left of the original's labels is what it was.
                wanted = json.loads(manifest.read_text())["snapshots"]
                for label in set(wanted) & set(labels(image)) - {"main", "adm"}:
                    found = {path for path in harness.run_text("find", image, label + ":/").splitlines()}
                    self.assertEqual(len(found), wanted[label]["nentries"], label)
                image.unlink()


if __name__ == "__main__":
    unittest.main()
