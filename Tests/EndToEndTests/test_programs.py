"""Everyday programs on a mounted image: git, tar, rsync, SQLite, compilers, loop devices, and what they rely on."""
import contextlib
import functools
import hashlib
import mmap
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import unittest

import harness
import ninep
from test_mount import Mounted, can_mount, error_of

# No program is to ask anybody, speak another language, or find settings of whoever runs the tests.
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
               "GIT_TERMINAL_PROMPT": "0", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
               "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b", "PYTHONDONTWRITEBYTECODE": ""}
# Long enough for a machine that is busy with other things: what takes it hangs.
SECONDS_MAX = 600


def described(folder, times=stat.S_IFMT):
    """What is below a folder: path -> all that a faithful copy keeps, and times of those whose mode `times` takes."""
    found = {}
    for parent, folders, files in os.walk(os.fsencode(folder)):
        for name in folders + files:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            content = None
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            found[os.path.relpath(path, os.fsencode(folder))] = (
                oct(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns if times(status.st_mode) else None,
                content)
    return found


def make_tree(folder, files, chance, links=False, controls=False, name_bytes=244):
    """A tree with what makes copying hard; times are set last, since what is made in a directory changes its own."""
    names = ["with space", "-rf", "tab'\"quote", "back\\slash", "*?[a]", "~", "#x#", ".hidden", "...", "trailing ",
             "\u00e9\u4e2d\U0001f600", "e\u0301", "%s", "$HOME", "a;b&c|d", "n" * name_bytes]
    if controls:
        names += ["new\nline", "\x01\x7f", os.fsdecode(b"\xff\xfe"), "m" * (name_bytes + 11)]
    folders = [folder]
    os.makedirs(folder)
    for number in range(files // 40):
        folders.append(chance.choice(folders[-20:]) / ("d%d" % number))
        os.mkdir(folders[-1])
    plain = []
    for number in range(files):
        path = chance.choice(folders) / ("f%d" % number)
        if number < len(names):
            path = folder / names[number]
        path.write_bytes(chance.randbytes(chance.choice((0, 1, 100, 3000, 16383, 16384, 16385))))
        os.chmod(path, chance.choice((0o644, 0o600, 0o755, 0o444, 0o000, 0o4755, 0o2750, 0o1666)))
        plain.append(path)
    for number in range(files // 50):
        target = chance.choice(("nowhere", "../..", "/", ".", "d0", "x" * 1000, os.fsdecode(plain[number].name)))
        os.symlink(target, chance.choice(folders) / ("link%d" % number))
        os.makedirs(chance.choice(folders) / ("empty%d" % number) / "below")
    os.mkfifo(folder / "fifo", 0o640)
    if links:
        for number in range(files // 50):
            os.link(chance.choice(plain), chance.choice(folders) / ("hard%d" % number))
    for parent, inner, outer in os.walk(folder, topdown=False):
        for name in inner + outer:
            path = os.path.join(parent, name)
            if os.path.isdir(path) and not os.path.islink(path):
                os.chmod(path, chance.choice((0o755, 0o700, 0o2775, 0o1777)))
            os.utime(path, ns=(10 ** 18, chance.randrange(2 * 10 ** 18)), follow_symlinks=False)


def chance_of(test):
    """Numbers that depend on the seed and on the test alone."""
    return random.Random("%d %s" % (harness.SEED, test.id()))


@functools.cache
def downloaded_package():
    """The contents of a small package of the host's system; None without a network."""
    command = ["apt-get", "-q", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=5",
               "-o", "Acquire::https::Timeout=5", "download", "hello"]
    with tempfile.TemporaryDirectory(prefix="gefs-") as folder:
        try:
            subprocess.run(command, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, timeout=15, check=True)
        except subprocess.SubprocessError:
            return None
        return next(path.read_bytes() for path in pathlib.Path(folder).glob("*.deb"))


class Volume(Mounted):
    """A test with a volume of one kind."""

    posix = False

    def ream_volume(self, size="2G"):
        image = self.folder / "test.img"
        features = ("--features", "posix") if self.posix else ()
        harness.run("ream", image, "--size", size, "--user", "glenda", *features)
        return image

    def mount(self, *words, image=None, **named):
        return super().mount(*words, image=image or self.ream_volume(), **named)

    def assert_clean(self, image, leaks_max=0):
        if self.posix:
            # The oracle knows nothing of the feature.
            harness.run("check", image, "--strict")
        else:
            super().assert_clean(image, leaks_max)

    def assert_same(self, first, second, times=stat.S_IFMT):
        """Two folders hold the same."""
        one, other = described(first, times), described(second, times)
        self.assertEqual([(name, one.get(name), other.get(name)) for name in sorted(set(one) | set(other))
                          if one.get(name) != other.get(name)], [])

    def needs(self, *programs):
        for program in programs:
            if not shutil.which(program):
                self.skipTest("needs " + program)

    def shell(self, script, folder, **environment):
        """Runs a script that stops at its first failure; returns what it prints."""
        result = subprocess.run(["sh", "-euc", script], cwd=folder, capture_output=True, stdin=subprocess.DEVNULL,
                                env={**os.environ, **ENVIRONMENT, **environment}, timeout=SECONDS_MAX)
        output = result.stdout.decode(errors="surrogateescape")
        self.assertEqual(result.returncode, 0, output[-3000:] + result.stderr.decode(errors="replace")[-3000:])
        return output

    def python(self, code, *words, **named):
        """A process of its own that runs some Python."""
        process = subprocess.Popen([sys.executable, "-c", code, *map(str, words)], **named)
        self.addCleanup(process.wait, SECONDS_MAX)
        self.addCleanup(process.kill)
        return process


def history(chance, files, commits):
    """A stream for git fast-import: `files` files in the first commit, and changes to them."""
    yield b"reset refs/heads/main\n"
    names = [b"d%d/e%d/f%d" % (number % 20, number % 7, number) for number in range(files)]
    for commit in range(commits):
        message = b"commit %d" % commit
        yield b"commit refs/heads/main\ncommitter a <a@b> %d +0000\n" % (1_000_000_000 + commit * 60)
        yield b"data %d\n%s\n" % (len(message), message)
        if commit == 0:
            chosen = names
        else:
            chosen = chance.sample(names, 10) + [b"later/f%d" % commit]
        for name in chosen:
            text = b"".join(b"line %d of %s\n" % (chance.randrange(1000), name) for _ in range(chance.randrange(1, 30)))
            mode = b"100755" if name.endswith(b"7") else b"100644"
            yield b"M %s inline %s\ndata %d\n%s\n" % (mode, name, len(text), text)
        if commit % 10 == 9:
            yield b"D later/f%d\n" % (commit - 3)
            yield b"M 120000 inline later/link%d\ndata 2\n..\n" % commit


@can_mount
class Programs(Volume):
    def test_git(self):
        self.needs("git")
        source = self.folder / "source"
        self.shell("git init -q -b main '%s'" % source, self.folder)
        subprocess.run(["git", "-C", source, "fast-import", "--quiet"], check=True, timeout=SECONDS_MAX,
                       input=b"".join(history(chance_of(self), 2000, 200)), env={**os.environ, **ENVIRONMENT})
        place = self.mount()
        self.shell("""
            git clone -q '%s' r && cd r
            git config gc.auto 0
            git checkout -q -b work HEAD~150
            echo text > new && git add new && git commit -qm new
            git checkout -q main
            git merge -q --no-edit work
            echo changed > new && git stash -q && git stash pop -q && git checkout -q new
            test -z "$(git status --porcelain --ignored)"
            git gc -q --aggressive --prune=now
            git fsck --full --strict
            test -z "$(git status --porcelain --ignored)"
            git worktree add -q ../tree work && git -C ../tree diff --exit-code
            git clone -q . ../second && git -C ../second fsck --full
        """ % source, place)
        before = self.shell("git -C r rev-parse HEAD main work 'main^{tree}'", place)
        self.unmount(place)
        place = self.mount(image=self.image)
        self.shell("""
            test -z "$(git -C '%(place)s'/r status --porcelain --ignored)"
            git clone -q '%(place)s'/r back
            git -C back fsck --full --strict
            diff -r --no-dereference -x .git back '%(place)s'/r
        """ % {"place": place}, self.folder)
        after = self.shell("git -C back rev-parse HEAD main origin/work 'main^{tree}'", self.folder)
        self.assertEqual(after, before)
        self.unmount(place)

    def test_tar(self):
        source = self.folder / "source"
        make_tree(source, 5000, chance_of(self), links=self.posix, controls=self.posix)
        place = self.mount()
        # Sorted, so that of several names for a file the same one comes first.
        pack = "tar --format=posix --sort=name --numeric-owner -C '%s' -cf '%s' ."
        listed = "tar --numeric-owner --full-time -tvf '%s'"
        self.shell(pack % (source, "in.tar"), self.folder)
        self.shell("mkdir tree && tar --numeric-owner -C tree -xpf ../in.tar", place)
        self.shell("diff -r --no-dereference -x fifo '%s' tree" % source, place)
        self.unmount(place)
        place = self.mount(image=self.image)
        self.shell(pack % (place / "tree", "out.tar"), self.folder)
        expected, found = (self.shell(listed % name, self.folder).splitlines() for name in ("in.tar", "out.tar"))
        self.assertGreater(len(expected), 5000)
        # The times of the folder itself are those of its making on neither side.
        self.assertEqual(expected[1:], found[1:])
        self.assert_same(source, place / "tree")
        self.shell("rm -r tree && test -z \"$(ls -A)\"", place)
        self.unmount(place)

    def test_rsync(self):
        self.needs("rsync")
        chance = chance_of(self)
        source = self.folder / "source"
        # A file has another name until it is complete, which is 8 bytes longer.
        make_tree(source, 600, chance, links=self.posix, controls=self.posix, name_bytes=236)
        (source / "large").write_bytes(chance.randbytes(3_000_000))
        # Nanoseconds count, too.
        options = "-a --checksum --modify-window=-1"
        if self.posix:
            options += " -HAX"
            os.setxattr(source / "large", "user.note", chance.randbytes(3000))
            os.setxattr(source / "d0", "user.empty", b"")
            if shutil.which("setfacl"):
                self.shell("setfacl -m u:1:r,g:2:rw large; setfacl -d -m u:1:rwx d0", source)
        place = self.mount()
        there = "rsync %s --itemize-changes '%s/' '%s/'" % (options, source, place / "copy")
        back = "rsync %s --itemize-changes '%s/' '%s/'" % (options, place / "copy", self.folder / "back")
        self.assertNotEqual(self.shell(there, place), "")
        self.assertEqual(self.shell(there, place), "")
        for path in (source / "with space", next(source.rglob("d9"))):
            self.shell("rm -r '%s'" % path, source)
        with open(source / "large", "r+b") as file:
            file.seek(1_000_000)
            file.write(b"changed")
        (source / "d0" / "added").write_text("new")
        number = os.stat(place / "copy" / "large").st_ino
        self.assertIn("*deleting", self.shell(there + " --delete --inplace --no-whole-file", place))
        self.assertEqual(os.stat(place / "copy" / "large").st_ino, number)
        self.assertEqual(self.shell(there + " --delete --dry-run", place), "")
        self.assert_same(source, place / "copy")
        self.unmount(place)
        place = self.mount(image=self.image)
        self.shell(back, place)
        self.assertEqual(self.shell("rsync %s -n --itemize-changes --delete '%s/' back/" % (options, source),
                                    self.folder), "")
        self.assert_same(source, self.folder / "back")
        if self.posix:
            self.assertEqual(os.getxattr(place / "copy" / "large", "user.note"),
                             os.getxattr(source / "large", "user.note"))
        self.unmount(place)

    def unpacked_package(self, package):
        """Unpacks a package onto a mount and beside it, and compares."""
        place = self.mount()
        for folder in (self.folder / "host", place / "mounted"):
            self.shell("dpkg-deb -x '%s' '%s' && dpkg-deb -e '%s' '%s.control'" % (package, folder, package, folder),
                       self.folder)
        # Links come last, into directories whose times are set by then.
        self.assert_same(self.folder / "host", place / "mounted", times=stat.S_ISREG)
        self.assert_same(self.folder / "host.control", place / "mounted.control")
        self.shell("dpkg-deb --root-owner-group -b mounted.built built.deb && dpkg-deb -c built.deb",
                   self.prepared_package(place))
        self.unmount(place)

    def prepared_package(self, folder):
        """A folder that dpkg-deb makes a package of."""
        root = folder / "mounted.built"
        for name in ("DEBIAN", "usr/share/doc/try", "usr/bin", "var/empty"):
            os.makedirs(root / name)
        (root / "DEBIAN" / "control").write_text(
            "Package: try\nVersion: 1.0-1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: for a test\n")
        for number in range(200):
            (root / "usr/share/doc/try" / ("file%d.gz" % number)).write_bytes(os.urandom(number * 50))
        (root / "usr/bin/try").write_text("#!/bin/sh\n")
        os.chmod(root / "usr/bin/try", 0o4755)
        os.symlink("../share/doc/try", root / "usr/bin/documents")
        return folder

    def test_a_package_made_on_the_spot(self):
        self.needs("dpkg-deb")
        self.shell("dpkg-deb --root-owner-group -b mounted.built try.deb", self.prepared_package(self.folder))
        self.unpacked_package(self.folder / "try.deb")

    def test_a_package_from_the_net(self):
        self.needs("apt-get", "dpkg-deb")
        package = downloaded_package()
        if package is None:
            self.skipTest("there is no package to be had")
        (self.folder / "net.deb").write_bytes(package)
        self.unpacked_package(self.folder / "net.deb")

    def test_sqlite_loses_nothing_that_was_committed(self):
        """Eight processes write through the log of one database while the file system is killed under them."""
        chance = chance_of(self)
        writer = """if True:
            import hashlib, sqlite3, sys
            base = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
            base.execute("pragma synchronous = full")
            base.execute("pragma wal_autocheckpoint = 100")
            row = int(sys.argv[2])
            while True:
                base.execute("begin immediate")
                base.execute("insert into t values (?, ?)", (row, hashlib.sha256(b"%d" % row).digest() * (row % 200)))
                base.execute("commit")
                print(row, flush=True)
                row += 8
        """
        image = self.ream_volume()
        first, printed = 0, []

        def rows():
            # Of a line that is being written the end is missing.
            for path in printed:
                yield from map(int, path.read_text().split("\n")[:-1])

        for turn in range(3):
            place = self.mount(image=image)
            with contextlib.closing(sqlite3.connect(place / "base", isolation_level=None)) as base:
                self.assertEqual(base.execute("pragma journal_mode = wal").fetchone(), ("wal",))
                base.execute("pragma synchronous = full")
                base.execute("create table if not exists t (a integer primary key, b blob)")
            names = [self.folder / ("rows%d.%d" % (turn, number)) for number in range(8)]
            before = sum(1 for _ in rows())
            printed += names
            writers = []
            for number, name in enumerate(names):
                with open(name, "wb") as file:
                    writers.append(self.python(writer, place / "base", first + number, stdout=file,
                                               stderr=subprocess.DEVNULL))
            target = before + chance.randrange(100, 300)
            harness.wait_until(lambda: sum(1 for _ in rows()) >= target)
            os.kill(self.process(), signal.SIGKILL)
            # Each is told of an error, or dies on its mapping of the index; none hangs.
            for process in writers:
                self.assertNotEqual(process.wait(SECONDS_MAX), 0)
            self.assertIn(error_of(os.listdir, place), ("ENOTCONN", "ECONNABORTED", "ECANCELED"))
            harness.run("umount", place)
            place = self.mount(image=image)
            with contextlib.closing(sqlite3.connect(place / "base", isolation_level=None)) as base:
                self.assertEqual(base.execute("pragma integrity_check").fetchall(), [("ok",)])
                self.assertEqual(base.execute("pragma wal_checkpoint(truncate)").fetchone()[0], 0)
                self.assertEqual(base.execute("pragma integrity_check").fetchall(), [("ok",)])
                found = dict(base.execute("select a, b from t"))
            committed = set(rows())
            self.assertLessEqual(committed, set(found), "rows that were committed are gone")
            # Of each writer one commit can have been on its way.
            self.assertLessEqual(len(found), len(committed) + 8 * (turn + 1))
            for row, content in found.items():
                self.assertEqual(content, hashlib.sha256(b"%d" % row).digest() * (row % 200))
            first = (max(found) // 8 + 1) * 8
            self.unmount(place)

    def test_a_virtual_environment(self):
        # Installing pip takes seconds: once is enough.
        has_pip = self.posix and subprocess.run([sys.executable, "-c", "import ensurepip, venv"],
                                                stderr=subprocess.DEVNULL).returncode == 0
        place = self.mount()
        self.shell("'%s' -m venv %s v" % (sys.executable, "" if has_pip else "--without-pip"), place)
        modules = ("argparse ast asyncio base64 calendar cmd codecs collections configparser csv ctypes datetime decimal"
                   " difflib dis email.mime.text fractions ftplib getpass gettext glob hashlib html.parser http.server"
                   " imaplib inspect ipaddress json.tool locale logging.config mailbox multiprocessing.pool optparse"
                   " pathlib pdb pickletools platform plistlib pprint pydoc random sched secrets shlex smtplib"
                   " socketserver sqlite3 statistics tarfile tempfile timeit tomllib trace turtledemo unittest.mock"
                   " urllib.request uuid wave xml.dom.minidom xmlrpc.client zipapp zipfile").split()
        code = """if True:
            import importlib, sys
            for name in sys.argv[1:]:
                try:
                    importlib.import_module(name)
                except ModuleNotFoundError:
                    pass
            print(sys.prefix)
        """

        def imported():
            found = subprocess.run([place / "v/bin/python", "-c", code, *modules], check=True, capture_output=True,
                                   text=True, timeout=SECONDS_MAX,
                                   env={**os.environ, **ENVIRONMENT, "PYTHONPYCACHEPREFIX": str(place / "cache")})
            self.assertEqual(found.stdout.strip(), str(place / "v"))
            return {path: path.stat().st_mtime_ns for path in (place / "cache").rglob("*.pyc")}

        first = imported()
        self.assertGreater(len(first), 50)
        self.unmount(place)
        place = self.mount(image=self.image)
        self.assertEqual(imported(), first)
        if has_pip:
            self.assertIn("pip", self.shell("v/bin/python -m pip --version && v/bin/pip list", place))
        self.unmount(place)

    def test_tools_for_files(self):
        place = self.mount()
        data = chance_of(self).randbytes(300_000)
        (place / "a").write_bytes(data)
        self.shell("""
            mkdir -p d/e && for n in $(seq 300); do echo "$n" > "d/e/$n"; done
            test "$(find d -type f | wc -l)" = 300
            test "$(find d -newer a -name '1??' | wc -l)" = 100
            test "$(find d -type f -printf '%s\\n' | sort -u | tr '\\n' ' ')" = "2 3 4 "
            find d/e -name '29?' -delete && test "$(ls d/e | wc -l)" = 290
            test "$(find d/e -type f -print0 | xargs -0 cat | wc -l)" = 290
            test "$(du -s --apparent-size -B1 a | cut -f1)" = 300000

            cp --reflink=auto a b && cmp a b
            ln -s a l && cp -L l b && cmp a b && cp -P l m && test "$(readlink m)" = a
            printf 'one\\ntwo\\n' > t && chmod 640 t
            sed -i s/one/three/ t && test "$(head -1 t)" = three && test "$(stat -c %a t)" = 640
            sed -i.old s/two/four/ t && test "$(tail -1 t.old)" = two
            echo new > u && mv -f u t && test "$(cat t)" = new && test ! -e u
            mkdir x y && echo 1 > x/1 && mv x y/ && test -e y/x/1 && mv -T y/x x && rmdir y
            install -m 751 a i && cmp a i && test "$(stat -c %a i)" = 751
            install -d -m 700 j/k && install -b -m 600 t i && cmp i~ a
            truncate -s 100000 b && cmp -n 100000 a b && test "$(stat -c %s b)" = 100000
            truncate -s 1M b && test "$(tail -c 900000 b | tr -d '\\0' | wc -c)" = 0
            dd if=a of=c bs=7000 conv=fsync status=none && cmp a c
            dd if=/dev/zero of=z bs=1M count=20 conv=sparse status=none && test "$(stat -c %s z)" = 20971520
            cmp -n 20971520 z /dev/zero
            touch -d 1999-12-31T23:59:59.123456789Z t && test "$(stat -c %.9Y t)" = 946684799.123456789
            cp -p t p && test "$(stat -c %.9Y p)" = 946684799.123456789 && test t -ot a
            split -b 10000 a part. && cat part.* | cmp - a && rm part.*
            shred -u p && test ! -e p
            flock a true && mktemp -p . && sync && sync -f . && sync a
        """, place)
        self.assertEqual((place / "a").read_bytes(), data)
        self.unmount(place)

    def test_sparse_files_take_no_room(self):
        place = self.mount()

        def taken():
            os.sync()
            status = os.statvfs(place)
            return (status.f_blocks - status.f_bfree) * status.f_frsize

        before = taken()
        self.shell("truncate -s 17T s && printf end | dd of=s bs=1 seek=$((17 * (1 << 40) - 3)) conv=notrunc status=none",
                   place)
        self.assertEqual(os.stat(place / "s").st_size, 17 << 40)
        self.shell("truncate -s 200M e && cp --sparse=always e f && dd if=/dev/zero of=g bs=1M count=200 conv=sparse "
                   "status=none && head -c 10M /dev/zero | cp --sparse=always /dev/stdin h", place)
        self.assertLess(taken() - before, harness.MEBIBYTE)
        data = os.urandom(8 * harness.MEBIBYTE)
        (place / "p").write_bytes(data)
        full = taken()
        self.assertGreaterEqual(full - before, len(data))
        self.shell("fallocate -p -o 1M -l 6M p", place)
        self.assertLess(taken(), full - 5 * harness.MEBIBYTE)
        data = data[:harness.MEBIBYTE] + bytes(6 * harness.MEBIBYTE) + data[7 * harness.MEBIBYTE:]
        self.assertEqual((place / "p").read_bytes(), data)
        self.unmount(place)
        place = self.mount(image=self.image)
        self.assertEqual((place / "p").read_bytes(), data)
        with open(place / "s", "rb") as file:
            self.assertGreaterEqual(os.lseek(file.fileno(), 0, os.SEEK_DATA), (17 << 40) - harness.MEBIBYTE)
            file.seek(-6, os.SEEK_END)
            self.assertEqual(file.read(), b"\0\0\0end")
        self.shell("rm s e f g h p", place)
        self.unmount(place)

    def test_editors_save(self):
        self.needs("vim")
        place = self.mount()
        for copied in ("yes", "no", "auto"):
            path = place / copied
            path.write_text("one\ntwo\n")
            os.chmod(path, 0o640)
            number = os.stat(path).st_ino
            self.shell("vim -es -u NONE -i NONE -c 'set nocp backup bsk= backupdir=. directory=. undofile undodir=. bkc=%s' "
                       "-c '%%s/two/three/' -c wq %s" % (copied, copied), place, HOME=str(place))
            self.assertEqual(path.read_text(), "one\nthree\n")
            self.assertEqual((place / (copied + "~")).read_text(), "one\ntwo\n")
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o640)
            if copied != "auto":
                self.assertEqual(os.stat(path).st_ino == number, copied == "yes")
        self.assertEqual([name for name in os.listdir(place) if name.endswith(".swp")], [])
        self.unmount(place)

    def test_a_file_system_in_a_file(self):
        self.needs("losetup", "mkfs.ext4", "e2fsck")
        if subprocess.run(["losetup", "-f"], capture_output=True).returncode != 0:
            self.skipTest("there is no free loop device")
        place = self.mount()
        inner = self.folder / "inner"
        inner.mkdir()
        tree = self.folder / "source"
        make_tree(tree, 400, chance_of(self), links=True, controls=True)
        self.shell("truncate -s 256M disk", place)

        def attached():
            device = self.shell("losetup --find --show disk", place).strip()
            self.addCleanup(subprocess.run, ["losetup", "-d", device], stderr=subprocess.DEVNULL)
            return device

        device = attached()
        self.shell("mkfs.ext4 -q '%s'" % device, self.folder)
        self.addCleanup(subprocess.run, ["umount", "-q", "-l", inner], stderr=subprocess.DEVNULL)
        self.shell("mount -o discard '%s' inner && cp -a source inner/ && dd if=/dev/urandom of=inner/r bs=1M count=20 "
                   "status=none && sync -f inner && rm inner/r && sync -f inner" % device, self.folder)
        self.assert_same(tree, inner / "source")
        self.shell("umount inner && e2fsck -fn '%s' && losetup -d '%s'" % (device, device), self.folder)
        harness.wait_until(lambda: self.shell("losetup -j disk", place) == "")
        self.shell("e2fsck -fn disk", place)
        self.unmount(place)
        place = self.mount(image=self.image)
        device = attached()
        self.shell("mount '%s' inner" % device, self.folder)
        self.assert_same(tree, inner / "source")
        self.shell("umount inner && losetup -d '%s'" % device, self.folder)
        harness.wait_until(lambda: self.shell("losetup -j disk", place) == "")
        self.unmount(place)

    def test_compiling(self):
        self.needs("cc", "make")
        place = self.mount()
        names = ["part%d" % number for number in range(30)]
        for number, name in enumerate(names):
            (place / (name + ".c")).write_text('#include "all.h"\nint %s(int x) { return x + %d; }\n' % (name, number))
        (place / "all.h").write_text("".join("int %s(int);\n" % name for name in names))
        (place / "main.c").write_text('#include <stdio.h>\n#include "all.h"\nint main(void) {\n    int x = 0;\n%s'
                                      '    printf("%%d\\n", x);\n    fflush(stdout);\n    return getchar() == 10;\n}\n'
                                      % "".join("    x = %s(x);\n" % name for name in names))
        objects = " ".join(name + ".o" for name in names + ["main"])
        (place / "Makefile").write_text(
            "program: %s\n\t$(CC) -o $@ $^\n%%.o: %%.c all.h\n\t$(CC) -c -o $@ $<\n"
            "install: program\n\tinstall -D program $(DESTDIR)/bin/program\n" % objects)

        def built():
            return sorted(line.split()[-1] for line in self.shell("make -j4", place).splitlines() if " -c " in line)

        self.assertEqual(built(), sorted(["main.c"] + [name + ".c" for name in names]))
        self.assertEqual(built(), [])
        os.utime(place / "part7.c")
        self.assertEqual(built(), ["part7.c"])
        self.assertEqual(built(), [])
        self.shell("make install DESTDIR=\"$PWD/installed\"", place)
        self.unmount(place)
        place = self.mount(image=self.image)
        self.assertEqual(built(), [])
        shutil.copy(place / "program", self.folder / "program")
        for program in (self.folder / "program", place / "program", place / "installed/bin/program"):
            process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.addCleanup(process.kill)
            with process.stdin, process.stdout:
                self.assertEqual(process.stdout.readline(), "%d\n" % sum(range(30)))
                # Some kernels let it happen: it is to be like on the host's own file system, which comes first.
                found = error_of(lambda: os.close(os.open(program, os.O_WRONLY)))
                if program.parent == self.folder:
                    expected = found
                self.assertEqual(found, expected)
                # As an installer does it, who puts a new file in its place.
                shutil.copy(self.folder / "program", str(program) + ".new")
                os.rename(str(program) + ".new", program)
                process.stdin.write("no\n")
            self.assertEqual(process.wait(SECONDS_MAX), 0)
        self.unmount(place)

    def test_mappings_that_processes_share(self):
        place = self.mount()
        pages = 64
        size = pages * mmap.PAGESIZE
        (place / "f").write_bytes(bytes(size))
        code = """if True:
            import mmap, os, sys
            with open(sys.argv[1], "r+b") as file:
                shared = mmap.mmap(file.fileno(), 0)
                private = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE)
            for line in sys.stdin:
                page = int(line)
                seen = shared[page * mmap.PAGESIZE:][:4]
                shared[page * mmap.PAGESIZE + 100:page * mmap.PAGESIZE + 104] = b"from"
                private[page * mmap.PAGESIZE + 200] = 1
                if page % 8 == 0:
                    shared.flush()
                print(seen.decode(), flush=True)
        """
        process = self.python(code, place / "f", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        expected = bytearray(size)
        with open(place / "f", "r+b", buffering=0) as file, mmap.mmap(file.fileno(), 0) as shared:
            for page in range(pages):
                start = page * mmap.PAGESIZE
                # One page through the mapping, one through a call: both are the same file at once.
                if page % 2:
                    shared[start:start + 4] = b"to  "
                else:
                    os.pwrite(file.fileno(), b"to  ", start)
                process.stdin.write("%d\n" % page)
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), "to  \n")
                self.assertEqual(shared[start + 100:start + 104], b"from")
                self.assertEqual(os.pread(file.fileno(), 4, start + 100), b"from")
                expected[start:start + 4] = b"to  "
                expected[start + 100:start + 104] = b"from"
            shared.flush()
            self.assertEqual((place / "f").read_bytes(), expected)
        with process.stdin, process.stdout:
            pass
        self.assertEqual(process.wait(SECONDS_MAX), 0)
        self.unmount(place)
        place = self.mount(image=self.image)
        self.assertEqual((place / "f").read_bytes(), expected)
        self.unmount(place)

    def test_direct_buffered_and_mapped_access_agree(self):
        place = self.mount()
        chance = chance_of(self)
        limit = 1 << 20
        model = bytearray(limit)
        buffer = mmap.mmap(-1, 128 * 1024)
        (place / "f").write_bytes(model)
        with contextlib.ExitStack() as stack:
            direct = os.open(place / "f", os.O_RDWR | os.O_DIRECT)
            stack.callback(os.close, direct)
            plain = os.open(place / "f", os.O_RDWR)
            stack.callback(os.close, plain)
            mapping = stack.enter_context(mmap.mmap(plain, limit))
            for step in range(400):
                choice = chance.randrange(6)
                if choice < 2:
                    # What is direct is aligned.
                    offset = chance.randrange(limit // 4096) * 4096
                    count = min(chance.randrange(1, 32) * 4096, limit - offset)
                else:
                    offset = chance.randrange(limit)
                    count = min(chance.randrange(1, 70000), limit - offset)
                data = chance.randbytes(count) if choice % 2 else None
                with memoryview(buffer)[:count] as aligned:
                    if choice == 0:
                        self.assertEqual(os.preadv(direct, [aligned], offset), count)
                        found = bytes(aligned)
                    elif choice == 1:
                        aligned[:] = data
                        self.assertEqual(os.pwritev(direct, [aligned], offset), count)
                    elif choice == 2:
                        found = os.pread(plain, count, offset)
                    elif choice == 3:
                        self.assertEqual(os.pwrite(plain, data, offset), count)
                    elif choice == 4:
                        found = mapping[offset:offset + count]
                    else:
                        mapping[offset:offset + count] = data
                        mapping.flush()
                if data is None:
                    self.assertEqual(found, bytes(model[offset:offset + count]), "step %d" % step)
                else:
                    model[offset:offset + count] = data
        buffer.close()
        self.unmount(place)
        self.assertEqual(harness.run("cat", self.image, "/f").stdout, model)

    def test_appending_together(self):
        place = self.mount()
        code = """if True:
            import os, sys
            file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            for number in range(1000):
                os.write(file, b"%s %d %s\\n" % (sys.argv[2].encode(), number, b"." * (number % 400)))
        """
        writers = [self.python(code, place / "log", number) for number in range(4)]
        for writer in writers:
            self.assertEqual(writer.wait(SECONDS_MAX), 0)
        self.unmount(place)
        lines = harness.run_text("cat", self.image, "/log").splitlines()
        for number in range(4):
            # Of each process every line, whole, and in its order.
            found = [line for line in lines if line.startswith("%d " % number)]
            self.assertEqual(found, ["%d %d %s" % (number, step, "." * (step % 400)) for step in range(1000)])
        self.assertEqual(len(lines), 4000)

    def test_a_client_reads_what_is_being_unpacked(self):
        source = self.folder / "source"
        make_tree(source, 1500, chance_of(self), controls=self.posix)
        self.shell("tar --format=posix -C source -cf in.tar .", self.folder)
        image = self.ream_volume()
        address = "unix:%s.9p" % image
        place = self.mount("--listen", address, image=image)
        expected = {name: content for name, (*_, content) in described(source).items()}
        problems, done, rounds = [], threading.Event(), []

        def read_tree(root):
            """Path -> record and contents."""
            found, waiting = {}, [""]
            while waiting:
                folder = waiting.pop()
                for record in root.list(folder):
                    path = folder + "/" + record.name
                    content = None
                    if record.is_directory:
                        waiting.append(path)
                    else:
                        content = root.get(path)
                    found[path[1:]] = (record, content)
            return found

        def client():
            try:
                with ninep.Connection("unix!%s.9p" % image) as connection:
                    root = connection.attach("adm", "%main").walk("/tree")
                    last = set()
                    while not done.is_set():
                        names = set(read_tree(root))
                        # Nothing goes away while tar works.
                        if not last <= names:
                            problems.append("gone: %s" % sorted(last - names)[:5])
                        last = names
                        rounds.append(len(names))
            except Exception as error:
                problems.append(repr(error))

        (place / "tree").mkdir()
        readers = [threading.Thread(target=client) for _ in range(2)]
        for reader in readers:
            reader.start()
        try:
            self.shell("tar -C tree --no-same-permissions -xf ../in.tar", place)
        finally:
            done.set()
            for reader in readers:
                reader.join(SECONDS_MAX)
        self.assertEqual(problems, [])
        self.assertGreaterEqual(len(rounds), len(readers))
        with ninep.Connection("unix!%s.9p" % image) as connection:
            through_9p = read_tree(connection.attach("adm", "%main").walk("/tree"))
        through_fuse = described(place / "tree")
        self.assertEqual({os.fsencode(name) for name in through_9p}, set(through_fuse))
        self.assertEqual(set(expected), set(through_fuse))
        for name, (record, content) in through_9p.items():
            mode, _, _, modified, digest = through_fuse[os.fsencode(name)]
            # On the wire times are seconds, the nearest.
            self.assertEqual(record.mtime, (modified + 10 ** 9 // 2) // 10 ** 9, name)
            self.assertEqual(record.mode & 0o777, int(mode, 8) & 0o777, name)
            self.assertEqual(record.is_directory, stat.S_ISDIR(int(mode, 8)), name)
            if stat.S_ISREG(int(mode, 8)):
                self.assertEqual(hashlib.sha256(content).hexdigest(), digest, name)
                self.assertEqual(digest, expected[os.fsencode(name)], name)
        self.unmount(place)


@can_mount
class ProgramsOnPosix(Programs):
    """The same on a volume with the feature posix."""

    posix = True


if __name__ == "__main__":
    unittest.main()
