"""The verbs, on an image and through its server: results, exit statuses, JSON."""
import base64
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import unittest

import harness


def both_ways(test=None, *, leaks_max=0):
    """Runs a test twice: on a closed image, and on one that is served."""

    def decorate(test):
        @functools.wraps(test)
        def run(self):
            for way in ("image", "server"):
                with self.subTest(way=way):
                    image = self.ream("%s.img" % way, 512 << 20)
                    server = self.serve(image) if way == "server" else None
                    test(self, image)
                    if server:
                        self.assertEqual(server.halt(), 0, server.output())
                    self.assert_clean(image, leaks_max)

        return run

    return decorate(test) if test else decorate


class Files(harness.TemporaryFolder):
    @both_ways
    def test_directories(self, image):
        harness.run("mkdir", image, "/a", "/b")
        harness.run("mkdir", image, "/a", status=1)
        harness.run("mkdir", image, "/x/y/z", status=1)
        harness.run("mkdir", "-p", image, "/x/y/z", "/a")
        harness.run("mkdir", "-m", "0700", image, "/private")
        self.assertEqual(harness.run_text("ls", image).split(), ["a", "b", "private", "x"])
        self.assertEqual(harness.run_json("stat", image, "/private")[0]["mode"], "0700")
        found = harness.run_text("find", image, "/x").split()
        self.assertEqual(found, ["/x", "/x/y", "/x/y/z"])
        recursive = harness.run_text("ls", "-R", image, "/x")
        self.assertEqual(recursive, "/x:\ny\n\n/x/y:\nz\n\n/x/y/z:\n")

    @both_ways
    def test_missing_files(self, image):
        for verb in (["ls"], ["cat"], ["stat"], ["find"], ["chmod"], ["rm", "--yes"]):
            operands = ["0644", "/absent"] if verb == ["chmod"] else ["/absent"]
            result = harness.run(*verb, image, *operands, status=1)
            self.assertIn(b"gefs: /absent: no such file", result.stderr, verb)
        error = harness.run("cat", image, "/absent", "--json", status=1)
        report = json.loads(error.stderr)
        self.assertEqual((report["type"], report["status"]), ("error", 1))
        harness.run("rm", "-f", image, "/absent")
        result = harness.run("ls", image, "nowhere:/", status=1)
        self.assertIn(b"nowhere", result.stderr)
        self.assertIn(b"snap list", result.stderr)

    @both_ways
    def test_stat_and_cat(self, image):
        harness.run("cp", image, "-", ":/words", stdin=b"some words\n")
        harness.run("cat", image, "/words", "main:/words")
        self.assertEqual(harness.run_text("cat", image, "/words", "main:/words"), "some words\n" * 2)
        report, = harness.run_json("stat", image, "/words")
        self.assertEqual((report["type"], report["size"], report["kind"]), ("file", 11, "file"))
        self.assertRegex(report["modified"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertIn("words", harness.run_text("stat", image, "/words"))
        data, = harness.run_json("cat", image, "/words")
        self.assertEqual(base64.b64decode(data["base64"]), b"some words\n")
        long = harness.run_text("ls", "-l", image)
        self.assertRegex(long, r"^--rw-\S+  \S+ +adm +11 B  20\S+Z  words\n$")
        harness.run("cat", image, "/", status=1)

    @both_ways(leaks_max=2)
    def test_modes_and_owners(self, image):
        harness.run("users", "add", image, "rob")
        harness.run("mkdir", image, "/d")
        harness.run("cp", image, "-", ":/d/f", stdin=b"x")
        harness.run("chmod", image, "0640", "/d/f")
        harness.run("chmod", image, "u+x,go-rwx,+l", "/d/f")
        report, = harness.run_json("stat", image, "/d/f")
        self.assertEqual((report["mode"], report["exclusive"]), ("0700", True))
        harness.run("chmod", image, "--", "-l", "/d/f")
        harness.run("chmod", "-R", image, "a=r,u+w", "/d/f")
        harness.run("chown", "-R", image, "rob:rob", "/d")
        report, = harness.run_json("stat", image, "/d/f")
        self.assertEqual((report["mode"], report["owner"], report["group"]), ("0644", "rob", "rob"))
        self.assertFalse(report["exclusive"])
        harness.run("chown", image, ":glenda", "/d")
        self.assertEqual(harness.run_json("stat", image, "/d")[0]["group"], "glenda")
        harness.run("chown", image, "nobody-here", "/d", status=1)
        for mode in ("0888", "u+z", "7777777", "rwx"):
            harness.run("chmod", image, mode, "/d", status=2)

    @both_ways(leaks_max=2)
    def test_moving(self, image):
        harness.run("mkdir", "-p", image, "/from/deep", "/to")
        harness.run("cp", image, "-", ":/from/deep/f", stdin=b"moved")
        harness.run("cp", image, "-", ":/old", stdin=b"old")
        harness.run("mv", image, "/old", "/new")
        harness.run("mv", image, "/new", "/from/deep/", )
        harness.run("mv", image, "/from/deep/f", "/from/deep/new")
        self.assertEqual(harness.run_text("cat", image, "/from/deep/new"), "moved")
        harness.run("mv", image, "/from/deep", "/to")
        self.assertEqual(harness.run_text("find", image, "/to").split(), ["/to", "/to/deep", "/to/deep/new"])
        self.assertEqual(harness.run_text("ls", image, "/from"), "")
        harness.run("mv", image, "/to", "/to/deep/inside", status=1)
        harness.run("mv", image, "/", "/x", status=1)
        harness.run("mv", image, "/to/deep/new", "adm:/new")
        self.assertEqual(harness.run_text("cat", image, "adm:/new"), "moved")

    @both_ways
    def test_removing(self, image):
        harness.run("mkdir", "-p", image, "/tree/a/b", "/empty")
        harness.run("cp", image, "-", ":/tree/a/b/f", stdin=b"x")
        result = harness.run("rm", image, "/tree/a/b/f", status=2)
        self.assertIn(b"--yes", result.stderr)
        self.assertIn("would remove", harness.run_text("rm", "--dry-run", "-r", image, "/tree"))
        self.assertIn(b"not empty", harness.run("rm", "--yes", image, "/tree", status=1).stderr)
        harness.run("rm", "--yes", image, "/empty")
        harness.run("rm", "-rf", image, "/tree")
        self.assertEqual(harness.run_text("ls", image), "")
        harness.run("rm", "-rf", image, "/", status=2)

    @both_ways
    def test_finding(self, image):
        harness.run("mkdir", "-p", image, "/src/lib")
        for name, size in (("a.c", 10), ("b.h", 2000), ("lib/c.c", 70_000)):
            harness.run("cp", image, "-", ":/src/" + name, stdin=b"x" * size)
        self.assertEqual(harness.run_text("find", "--name", "*.c", image).split(), ["/src/a.c", "/src/lib/c.c"])
        self.assertEqual(harness.run_text("find", "--kind", "directory", image).split(), ["/", "/src", "/src/lib"])
        self.assertEqual(harness.run_text("find", "--size", "+1K", image).split(), ["/src/b.h", "/src/lib/c.c"])
        self.assertEqual(harness.run_text("find", "--size", "-10", image).split(), ["/src/a.c"])
        self.assertEqual(harness.run_text("find", "--max-depth", "1", image).split(), ["/", "/src"])
        self.assertEqual(harness.run("find", "-0", "--name", "b.?", image).stdout, b"/src/b.h\0")
        self.assertEqual(harness.run_text("find", "--modified-before", "2020-01-01", image), "")
        self.assertEqual(len(harness.run_json("find", "--modified-after", "2020-01-01", image)), 6)
        harness.run("find", "--size", "much", image, status=2)

    @both_ways
    def test_names_that_are_no_text(self, image):
        name = b"caf\xe9 \x80\xff".decode("utf-8", "surrogateescape")
        harness.run("cp", image, "-", ":/" + name, stdin=b"latin")
        self.assertEqual(harness.run_text("cat", image, "/" + name), "latin")
        self.assertEqual(harness.run("ls", image).stdout, b"caf\xe9 \x80\xff\n")
        report, = harness.run_json("ls", image)
        self.assertEqual(bytes.fromhex(report["pathBytes"]), b"/caf\xe9 \x80\xff")
        harness.run("cp", image, ":/" + name, self.folder)
        copied = os.path.join(os.fsencode(self.folder), b"caf\xe9 \x80\xff")
        self.assertEqual(pathlib.Path(os.fsdecode(copied)).read_bytes(), b"latin")
        os.unlink(copied)


class Copying(harness.TemporaryFolder):
    def make_tree(self):
        tree = self.folder / "tree"
        if tree.exists():
            shutil.rmtree(tree)
        (tree / "sub" / "empty").mkdir(parents=True)
        (tree / "small").write_bytes(b"small")
        (tree / "sub" / "data").write_bytes(os.urandom(3_000_000))
        (tree / "none").write_bytes(b"")
        with open(tree / "sparse", "wb") as file:
            file.seek(40 << 20)
            file.write(b"end")
            file.truncate(64 << 20)
        os.chmod(tree / "small", 0o640)
        os.chmod(tree / "sub", 0o750)
        for path, seconds in ((tree / "small", 1_000_000_000), (tree / "sub", 1_100_000_000)):
            os.utime(path, (seconds, seconds))
        return tree

    def assert_same(self, left, right):
        result = subprocess.run(["diff", "-r", str(left), str(right)], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout)
        for path in left.rglob("*"):
            other = right / path.relative_to(left)
            self.assertEqual(path.stat().st_mode, other.stat().st_mode, path)
            self.assertEqual(int(path.stat().st_mtime), int(other.stat().st_mtime), path)

    @both_ways
    def test_a_tree_in_and_out_again(self, image):
        tree = self.make_tree()
        used = harness.run_json("df", image)[0]["used"]
        harness.run("cp", "-r", image, tree, ":/")
        report, = harness.run_json("stat", image, "/tree/small")
        self.assertEqual((report["mode"], report["modified"]), ("0640", "2001-09-09T01:46:40Z"))
        self.assertEqual(harness.run_json("stat", image, "/tree/sparse")[0]["size"], 64 << 20)
        self.assertLess(harness.run_json("df", image)[0]["used"] - used, 8 << 20, "holes were written")
        out = self.folder / "out"
        harness.run("cp", "-r", image, ":/tree", out)
        self.assert_same(tree, out)
        self.assertLess((out / "sparse").stat().st_blocks * 512, 1 << 20, "holes were written")
        # A directory that is there gets the copy inside it, and a second copy replaces.
        harness.run("cp", "-r", image, ":/tree", out)
        self.assert_same(tree, out / "tree")
        harness.run("cp", "-r", image, tree, ":/tree", status=0)
        harness.run("cp", "-r", image, "%s/." % tree, ":/tree")
        shutil.rmtree(out)

    @both_ways(leaks_max=2)
    def test_between_branches(self, image):
        tree = self.make_tree()
        harness.run("cp", "-r", image, tree, ":/tree")
        harness.run("users", "add", image, "rob")
        harness.run("chown", image, "rob", "/tree/small")
        harness.run("cp", "-r", image, "main:/tree", "adm:/copy")
        harness.run("cp", "-r", image, ":/tree", ":/tree2")
        for place in ("adm:/copy", "/tree2"):
            report, = harness.run_json("stat", image, place + "/small")
            self.assertEqual((report["mode"], report["owner"]), ("0640", "rob"))
        out = self.folder / "out"
        harness.run("cp", "-r", image, "adm:/copy", out)
        self.assert_same(tree, out)
        shutil.rmtree(out)
        harness.run("cp", "-r", image, ":/tree", ":/tree/inside", status=1)

    @both_ways
    def test_what_cp_refuses(self, image):
        tree = self.make_tree()
        self.assertIn(b"-r", harness.run("cp", image, tree, ":/", status=1).stderr)
        result = harness.run("cp", image, tree / "small", self.folder / "elsewhere", status=2)
        self.assertIn(b"BRANCH:/PATH", result.stderr)
        harness.run("cp", image, tree / "small", tree / "none", ":/absent", status=1)
        harness.run("cp", image, tree / "small", ":/absent/", status=1)
        harness.run("cp", image, tree / "absent", ":/", status=1)
        harness.run("cp", image, ":/absent", self.folder, status=1)
        harness.run("cp", image, tree / "small", status=2)
        harness.run("cp", image, tree / "small", ":/x", ":/", status=2)
        harness.run("cp", "--dry-run", "-r", image, tree, ":/")
        self.assertEqual(harness.run_text("ls", image), "")

    def test_hard_links_and_attributes_are_kept_where_both_sides_have_them(self):
        tree = self.make_tree()
        os.link(tree / "small", tree / "twin")
        try:
            os.setxattr(tree / "small", "user.test", b"v" * 700)
            os.setxattr(tree, "user.directory", b"")
        except OSError:
            self.skipTest("no extended attributes here")
        image = self.folder / "posix.img"
        harness.run("ream", "--features", "posix", "--size", "256M", image)
        harness.run("cp", "-r", image, tree, ":/")
        harness.run("cp", "-r", image, ":/", self.folder / "out")
        harness.run("cp", "-r", image, ":/%s" % tree.name, ":/copy")
        # Once more, over what is there.
        harness.run("cp", "-r", image, "%s/." % tree, ":/copy")
        harness.run("cp", "-r", image, ":/copy", self.folder / "copy")
        for folder in (self.folder / "out" / tree.name, self.folder / "copy"):
            status = os.stat(folder / "small")
            self.assertEqual(status.st_nlink, 2)
            self.assertEqual(status.st_ino, os.stat(folder / "twin").st_ino)
            self.assertEqual(os.getxattr(folder / "twin", "user.test"), b"v" * 700)
            self.assertEqual(os.getxattr(folder, "user.directory"), b"")
        # The oracle knows nothing of such disks.
        harness.run("check", "--strict", image)
        # Without the feature there are copies.
        plain = self.ream("plain.img")
        harness.run("cp", "-r", plain, tree, ":/tree")
        harness.run("cp", "-r", plain, ":/tree", self.folder / "plain")
        self.assertEqual(os.stat(self.folder / "plain" / "twin").st_nlink, 1)
        self.assert_clean(plain)

    @both_ways
    def test_links_are_left_out_or_followed(self, image):
        tree = self.make_tree()
        (tree / "link").symlink_to("small")
        result = harness.run("cp", "-r", image, tree, ":/tree", status=1)
        self.assertIn(b"symbolic link", result.stderr)
        self.assertNotIn("link", harness.run_text("ls", image, "/tree").split())
        harness.run("cp", "-rL", image, "%s/." % tree, ":/tree")
        self.assertEqual(harness.run_text("cat", image, "/tree/link"), "small")

    @both_ways
    def test_pipes(self, image):
        data = os.urandom(2_500_000)
        harness.run("cp", image, "-", ":/pipe", stdin=data)
        self.assertTrue(harness.run("cp", image, ":/pipe", "-").stdout == data)
        harness.run("cp", "-n", image, "-", ":/pipe", stdin=b"other")
        self.assertTrue(harness.run("cat", image, "/pipe").stdout == data)


class Administration(harness.TemporaryFolder):
    @both_ways
    def test_info_df_and_labels(self, image):
        info, = harness.run_json("info", image)
        self.assertEqual((info["type"], info["dialect"], info["arenas"]), ("volume", "R", 8))
        self.assertEqual(info["deviceSize"], 512 << 20)
        self.assertIn("gefs9.00", harness.run_text("info", image))
        space, = harness.run_json("df", image)
        self.assertEqual(len(space["arenas"]), 8)
        self.assertLessEqual(space["used"] + space["reserve"] + space["available"], space["size"])
        self.assertIn("available", harness.run_text("df", image))
        self.assertIn(str(space["size"]), harness.run_text("df", "--bytes", image))
        labels = {item["name"]: item for item in harness.run_json("snap", "list", image)}
        self.assertEqual({name: item["mutable"] for name, item in labels.items()},
                         {"adm": True, "empty": False, "main": True})
        self.assertIn("main [mutable]", harness.run_text("snap", "list", "--short", image).splitlines())

    @both_ways(leaks_max=2)
    def test_users(self, image):
        harness.run("users", "add", image, "rob")
        harness.run("users", "add", image, "sys", "--no-leader", "--member", "rob", "--id", "500")
        harness.run("users", "join", image, "glenda", "sys")
        report, = harness.run_json("users", "show", image, "sys")
        self.assertEqual((report["id"], report["members"], report.get("leader")), (500, ["rob", "glenda"], None))
        harness.run("users", "leader", image, "sys", "rob")
        harness.run("users", "rename", image, "rob", "ken")
        report, = harness.run_json("users", "show", image, "sys")
        self.assertEqual((report["members"], report["leader"]), (["ken", "glenda"], "ken"))
        harness.run("users", "remove", image, "ken", "--yes", status=1)
        harness.run("users", "leave", image, "ken", "sys")
        harness.run("users", "leader", image, "sys")
        harness.run("users", "remove", image, "ken", status=2)
        harness.run("users", "remove", image, "ken", "--yes")
        names = [item["name"] for item in harness.run_json("users", "list", image)]
        self.assertEqual(names, ["adm", "none", "glenda", "sys"])
        for bad in (["add", "glenda"], ["add", "x", "--id", "1"], ["add", "x", "--leader", "absent"],
                    ["remove", "none", "--yes"], ["remove", "absent", "--yes"], ["join", "absent", "sys"]):
            harness.run("users", bad[0], image, *bad[1:], status=1)
        harness.run("users", "add", image, "a:b", status=2)
        self.assertTrue(harness.run_text("cat", image, "adm:/users").endswith("500:sys::glenda\n"))

    @both_ways
    def test_debug(self, image):
        harness.run("cp", image, "-", ":/f", stdin=b"x" * 20_000)
        for what in ("superblock", "arena", "log"):
            harness.run("debug", what, image)
            harness.run_json("debug", what, image)
        self.assertIn("leaf", harness.run_text("debug", "tree", image, "adm"))
        tree, = harness.run_json("debug", "tree", image)
        root = tree["nodes"][0]["address"]
        self.assertIn("label \"main\"", harness.run_text("debug", "block", image, root))
        self.assertEqual(harness.run_json("debug", "block", image, root)[0]["type"], "leaf")
        harness.run("debug", "tree", image, "absent", status=1)
        harness.run("debug", "block", image, "0")
        harness.run("debug", "block", image, "0x4000")
        harness.run("debug", "block", image, "17", status=2)

    def test_check_while_served(self):
        image = self.ream()
        server = self.serve(image)
        harness.run("cp", image, "-", ":/f", stdin=b"x" * 200_000)
        result = harness.run_json("check", image)[-1]
        self.assertEqual((result["type"], result["result"], result["errors"]), ("check", "ok", 0))
        self.assertIn("ok: 0 errors", harness.run_text("check", image))
        self.assertEqual(server.halt(), 0)

    def test_ctl(self):
        image = self.ream()
        harness.run("ctl", image, "sync", status=1)
        harness.run("ctl", self.folder / "absent.sock", "sync", status=4)
        server = self.serve(image)
        self.assertEqual(harness.run_text("ctl", image, "sync"), "synced\n")
        self.assertEqual(harness.run_text("ctl", server.control, "users"), "refreshed users\n")
        self.assertEqual(harness.run_text("ctl", image, "permit", "on"), "permissive: 0 → 1\n")
        self.assertEqual(harness.run_json("ctl", image, "permit", "off")[0]["after"], False)
        self.assertIn("halt", harness.run_text("ctl", image, "help"))
        harness.run("ctl", image, "dance", status=2)
        # Without a command, lines of standard input are commands.
        self.assertEqual(harness.run_text("ctl", image, stdin=b"sync\n\nusers"), "synced\nrefreshed users\n")
        result = harness.run("ctl", image, stdin=b"dance\nsync\n", status=2)
        self.assertEqual(result.stdout, b"synced\n")
        self.assertIn(b"unknown command 'dance'", result.stderr)
        # A broken users file keeps the users that there are.
        harness.run("cp", image, "-", "adm:/users", stdin=b"-1:adm::glenda\n0:none::\n1:glenda:glenda:")
        self.assertIn(b"line 3", harness.run("ctl", image, "users", status=1).stderr)
        harness.run("cp", image, "-", "adm:/users", stdin=b"-1:adm::glenda\n0:none::\n1:glenda:glenda:\n")
        harness.run("ctl", image, "users")
        self.assertEqual(harness.run_text("ctl", image, "halt"), "gefs: ending...\n")
        self.assertEqual(server.wait(), 0)


class Statuses(harness.TemporaryFolder):
    def test_no_such_image(self):
        absent = self.folder / "absent.img"
        plain = self.folder / "plain"
        plain.write_bytes(b"hello" * 100_000)
        for verb in ("info", "df", "check", "ls", "grow"):
            for image in (absent, plain):
                result = harness.run(verb, image, status=4)
                self.assertTrue(result.stderr.startswith(b"gefs: "), result.stderr)
            error = json.loads(harness.run(verb, absent, "--json", status=4).stderr)
            self.assertEqual((error["type"], error["status"]), ("error", 4))

    def test_busy(self):
        image = self.ream()
        holder = subprocess.Popen(["flock", str(image), "-c", "echo held; cat"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        self.assertEqual(holder.stdout.readline(), b"held\n")
        for verb in (["ls", image], ["mkdir", image, "/x"], ["check", image], ["info", image],
                     ["ream", image, "--force"], ["grow", image], ["serve", image]):
            result = harness.run(*verb, status=5)
            self.assertIn(b"busy", result.stderr, verb)
        holder.communicate(b"")
        harness.run("ls", image)

    def test_usage(self):
        for arguments in ([], ["dance"], ["ls"], ["ls", "--dance"], ["cp", "x"], ["ream", "--size"], ["mkdir", "x.img"],
                          ["completions", "dos"], ["cat", "x.img"]):
            result = harness.run(*arguments, status=2 if arguments else None)
            if arguments:
                self.assertTrue(result.stderr.startswith(b"gefs: "), (arguments, result.stderr))
        error = json.loads(harness.run("ls", "--dance", "--json", status=2).stderr)
        self.assertEqual((error["type"], error["status"]), ("error", 2))

    def test_help_version_and_completions(self):
        self.assertIn("serve", harness.run_text("--help"))
        verbs = ["ream", "serve", "info", "check", "df", "grow", "snap", "ls", "cat", "stat", "cp", "mkdir", "mv", "rm",
                 "chmod", "chown", "find", "users", "ctl", "debug", "completions", "version"]
        for verb in verbs:
            self.assertIn("USAGE", harness.run_text("help", verb).upper(), verb)
            self.assertEqual(harness.run_text(verb, "--help"), harness.run_text("help", verb), verb)
        self.assertRegex(harness.run_text("--version"), r"^gefs \d+\.\d+\.\d+")
        self.assertEqual(harness.run_json("version")[0]["format"], "gefs9.00")
        for shell in ("bash", "zsh", "fish"):
            script = harness.run_text("completions", shell)
            self.assertIn("gefs", script)
            if shutil.which(shell):
                subprocess.run([shell, "-n"], input=script, text=True, check=True)

    def test_corrupt(self):
        image = self.ream()
        harness.run("cp", image, "-", ":/f", stdin=os.urandom(100_000))
        with open(image, "r+b") as disk:
            data = disk.read()
            found = data.find(harness.run("cat", image, "/f").stdout[:64])
            disk.seek(found)
            disk.write(b"\0" * 64)
        harness.run("cat", image, "/f", status=6)
        result = harness.run("check", image, status=3)
        self.assertIn(b"broken", result.stdout)
        # One superblock will do. Without both, arenas tell the check that it was a gefs.
        with open(image, "r+b") as disk:
            disk.write(b"\0" * 16384)
        harness.run("ls", image)
        with open(image, "r+b") as disk:
            disk.seek(image.stat().st_size // 16384 * 16384 - 16384)
            disk.write(b"\0" * 16384)
        self.assertIn(b"gefs check", harness.run("ls", image, status=4).stderr)
        harness.run("check", image, status=3)
        self.assertIn(b"superblock", harness.run("check", "--repair", "--dry-run", image).stdout)
        repaired = harness.run("check", "--repair", image)
        self.assertIn(b"superblock", repaired.stdout)
        self.assertEqual(harness.run_text("ls", image), "f\n")
        harness.run("check", "--strict", image)
        empty = self.folder / "empty.img"
        empty.write_bytes(b"\0" * (1 << 20))
        harness.run("check", empty, status=4)
        harness.run("check", "--repair", empty, status=4)

    def test_the_environment_names_the_image(self):
        image = self.ream()
        environment = {"GEFS_IMAGE": str(image)}
        harness.run("mkdir", "/a", environment=environment)
        self.assertEqual(harness.run_text("ls", environment=environment), "a\n")
        self.assertEqual(harness.run_text("ls", "/", environment=environment), "a\n")
        other = self.ream("other.img")
        self.assertEqual(harness.run_text("ls", other, environment=environment), "")
        self.assertEqual(harness.run_text("ls", "--image", other, "/", environment=environment), "")
        harness.run("info", environment=environment)

    def test_an_interrupted_copy_ends_in_good_order(self):
        image = self.ream()
        process = subprocess.Popen([harness.BINARY, "cp", str(image), "-", ":/pipe"], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        process.stdin.write(os.urandom(3 << 20))
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), 130)
        self.assertEqual(process.stderr.read(), b"gefs: interrupted\n")
        process.stdin.close()
        process.stderr.close()
        self.assert_clean(image)

    def test_output_to_a_closed_pipe_ends_quietly(self):
        image = self.ream()
        harness.run("mkdir", image, *["/d%d" % number for number in range(3000)])
        result = subprocess.run(["bash", "-c", '"$0" ls "$1" | head -n 1', harness.BINARY, str(image)],
                                capture_output=True)
        self.assertEqual(result.stderr, b"")


if __name__ == "__main__":
    unittest.main()
