"""An image as a file system of the host, and through 9P at the same time."""
import contextlib
import ctypes
import errno
import mmap
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import tempfile
import threading
import unittest

import harness

can_mount = unittest.skipUnless(
    os.path.exists("/dev/fuse") and shutil.which("fusermount3") and os.geteuid() == 0,
    "needs /dev/fuse, fusermount3, and root")


class Mounted(harness.TemporaryFolder):
    """A test with an image that is mounted."""

    def mount(self, *words, image=None, name="mnt", options=("--no-snapshots",)):
        self.image = image or self.ream(size=512 * harness.MEBIBYTE)
        place = self.folder / name
        place.mkdir(exist_ok=True)
        harness.run("mount", self.image, place, *options, *words)
        self.addCleanup(subprocess.run, ["fusermount3", "-u", "-q", "-z", str(place)], stderr=subprocess.DEVNULL)
        return place

    def process(self):
        """The process that mounts."""
        return harness.run_json("info", self.image)[0]["server"]["process"]

    def unmount(self, place):
        harness.run("umount", place)
        self.assertFalse(os.path.ismount(place))
        self.assert_clean(self.image)


def error_of(function, *arguments, **named):
    try:
        function(*arguments, **named)
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


def link_open(descriptor, path):
    """Gives an open file a name."""
    empty_path, here = 0x1000, -100
    library = ctypes.CDLL(None, use_errno=True)
    if library.linkat(descriptor, b"", here, os.fsencode(path), empty_path) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@can_mount
class Programs(Mounted):
    def test_mounting_and_its_errors(self):
        place = self.mount()
        self.assertTrue(os.path.ismount(place))
        (place / "a").write_text("first")
        harness.run("snap", "create", self.image, "main", "then")
        (place / "a").write_text("second")
        # Somebody has it open, and says who.
        harness.run("mount", self.image, place, status=5)
        self.unmount(place)
        self.assertEqual(harness.run_text("cat", self.image, "/a", "main@then:/a"), "secondfirst")
        harness.run("umount", place, status=1)
        harness.run("mount", self.image, self.folder / "nowhere", status=1)
        harness.run("mount", self.image, place, "-o", "nonsense", status=2)
        harness.run("mount", self.image, place, "--branch", "nowhere", status=1)
        harness.run("mount", self.folder / "no.img", place, status=4)
        self.assertFalse(os.path.ismount(place))
        for options in (("--branch", "main@then"), ("-o", "nofail,_netdev,branch=then")):
            place = self.mount(*options, image=self.image)
            self.assertEqual((place / "a").read_text(), "first")
            self.assertEqual(error_of((place / "a").write_text, "x"), "EROFS")
            harness.run("umount", place)

    def test_files_are_what_programs_expect(self):
        place = self.mount()
        # Kinds and modes.
        os.mkfifo(place / "fifo", 0o640)
        os.mknod(place / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(place / "disk", 0o600 | stat.S_IFBLK, os.makedev(259, 70000))
        os.symlink("../else where", place / "link")
        self.assertTrue(stat.S_ISFIFO(os.lstat(place / "fifo").st_mode))
        self.assertEqual(os.readlink(place / "link"), "../else where")
        self.assertEqual(os.lstat(place / "link").st_size, 13)
        for name, kind, number in (("null", stat.S_ISCHR, (1, 3)), ("disk", stat.S_ISBLK, (259, 70000))):
            status = os.lstat(place / name)
            self.assertTrue(kind(status.st_mode))
            self.assertEqual((os.major(status.st_rdev), os.minor(status.st_rdev)), number)
        (place / "f").write_bytes(b"what was there before")
        (place / "f").write_bytes(b"0123456789")
        self.assertEqual((place / "f").read_bytes(), b"0123456789")
        self.assertEqual(harness.run_text("cat", self.image, "/f"), "0123456789")
        os.chmod(place / "f", 0o4751)
        self.assertEqual(stat.S_IMODE(os.stat(place / "f").st_mode), 0o4751)
        os.utime(place / "f", ns=(-1_000_000_001, 2 ** 62))
        status = os.stat(place / "f")
        self.assertEqual((status.st_atime_ns, status.st_mtime_ns), (-1_000_000_001, 2 ** 62))
        self.assertEqual(error_of(os.link, place / "f", place / "g"), "EPERM")
        self.assertEqual(error_of(os.chown, place / "f", 61234, -1), "EPERM")
        self.assertEqual(error_of(os.setxattr, place / "f", "user.a", b"b"), "ENOTSUP")
        # Names.
        self.assertEqual(error_of(os.mkdir, place / ("n" * 245)), "ENAMETOOLONG")
        os.mkdir(place / ("n" * 244))
        self.assertEqual(error_of(os.mkdir, place / "a\nb"), "EINVAL")
        self.assertEqual(os.statvfs(place).f_namemax, 244)
        # A set-group directory hands its group on.
        os.mkdir(place / "shared")
        os.chmod(place / "shared", 0o2775)
        os.mkdir(place / "shared" / "sub")
        self.assertEqual(stat.S_IMODE(os.stat(place / "shared" / "sub").st_mode) & 0o2000, 0o2000)
        self.unmount(place)
        # All of it is there the next time.
        place = self.mount(image=self.image)
        self.assertEqual(os.readlink(place / "link"), "../else where")
        self.assertEqual(os.minor(os.lstat(place / "disk").st_rdev), 70000)
        self.assertEqual(stat.S_IMODE(os.stat(place / "f").st_mode), 0o4751)
        self.unmount(place)

    def test_names_move(self):
        place = self.mount()
        for name in ("a/b/c", "x/y"):
            os.makedirs(place / name)
        (place / "a" / "file").write_text("file")
        (place / "x" / "file").write_text("other")
        self.assertEqual(error_of(os.rename, place / "a", place / "a/b/d"), "EINVAL")
        self.assertEqual(error_of(os.rename, place / "a/b", place / "x"), "ENOTEMPTY")
        self.assertEqual(error_of(os.rename, place / "a/b", place / "x/file"), "ENOTDIR")
        self.assertEqual(error_of(os.rename, place / "x/file", place / "a/b"), "EISDIR")
        os.rename(place / "a/file", place / "x/file")
        self.assertEqual((place / "x/file").read_text(), "file")
        self.assertEqual(os.listdir(place / "a"), ["b"])
        os.rename(place / "a/b", place / "x/y")
        self.assertEqual(sorted(os.listdir(place / "x/y")), ["c"])
        self.assertEqual(os.path.realpath(place / "x/y/c/../.."), str(place / "x"))
        os.rmdir(place / "a")
        self.assertEqual(error_of(os.rmdir, place / "x"), "ENOTEMPTY")
        self.assertEqual(error_of(os.rmdir, place / "x/file"), "ENOTDIR")
        self.assertEqual(error_of(os.unlink, place / "x/y"), "EISDIR")
        exchange = 2
        library = ctypes.CDLL(None, use_errno=True)

        def exchanged(first, second, flags):
            return library.renameat2(-100, os.fsencode(first), -100, os.fsencode(second), flags)
        os.mkdir(place / "d")
        self.assertEqual(exchanged(place / "d", place / "x/file", exchange), 0)
        self.assertEqual((place / "d").read_text(), "file")
        self.assertTrue((place / "x/file").is_dir())
        self.assertEqual(exchanged(place / "d", place / "x/y", 1), -1)
        self.unmount(place)

    def test_what_lost_its_name_lives_while_it_is_open(self):
        place = self.mount()
        with open(place / "gone", "w+b") as gone:
            gone.write(b"a" * 50000)
            gone.flush()
            os.unlink(place / "gone")
            gone.seek(40000)
            gone.write(b"b" * 100000)
            gone.flush()
            os.fsync(gone.fileno())
            gone.truncate(120000)
            gone.seek(0)
            self.assertEqual(gone.read(), b"a" * 40000 + b"b" * 80000)
            os.fchmod(gone.fileno(), 0o600)
            self.assertEqual(os.fstat(gone.fileno()).st_nlink, 0)
        with open(place / "replaced", "wb") as file:
            file.write(b"old" * 100000)
        with open(place / "replaced", "rb") as old:
            (place / "new").write_text("new")
            os.rename(place / "new", place / "replaced")
            self.assertEqual(len(old.read()), 300000)
        self.unmount(place)

    def test_files_that_are_made_without_a_name(self):
        place = self.mount()
        os.mkdir(place / "d")
        os.mkdir(place / "e")
        file = os.open(place / "d", os.O_TMPFILE | os.O_RDWR, 0o640)
        content = random.Random(harness.SEED).randbytes(100000)
        os.write(file, content)
        os.fsync(file)
        self.assertEqual(os.fstat(file).st_nlink, 0)
        self.assertEqual(os.listdir(place / "d"), [])
        os.rmdir(place / "d")
        os.ftruncate(file, 90000)
        link_open(file, place / "e" / "f")
        self.assertEqual((place / "e" / "f").read_bytes(), content[:90000])
        status = os.stat(place / "e" / "f")
        self.assertEqual((status.st_nlink, status.st_ino), (1, os.fstat(file).st_ino))
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o640)
        os.write(file, b"more")
        os.close(file)
        self.assertEqual(harness.run("cat", self.image, "/e/f").stdout, content[:90000] + bytes(10000) + b"more")
        # One that is to have no name gets none; nor does one twice on a volume without hard links.
        file = os.open(place, os.O_TMPFILE | os.O_RDWR | os.O_EXCL)
        self.assertEqual(error_of(link_open, file, place / "g"), "ENOENT")
        os.close(file)
        file = os.open(place, os.O_TMPFILE | os.O_RDWR)
        self.assertEqual(error_of(link_open, file, place / "e" / "f"), "EEXIST")
        link_open(file, place / "g")
        self.assertEqual(error_of(os.link, place / "g", place / "h"), "EPERM")
        os.close(file)
        # What is left without one goes.
        for _ in range(20):
            with tempfile.TemporaryFile(dir=place) as file:
                file.write(content)
        for number in range(20):
            with open(place / ("n%d" % number), "w") as file:
                file.write("named as ever")
        left = os.open(place, os.O_TMPFILE | os.O_RDWR)
        os.write(left, content)
        os.fsync(left)
        process = self.process()
        os.kill(process, signal.SIGKILL)
        harness.wait_until(lambda: not os.path.exists("/proc/%d" % process))
        subprocess.run(["fusermount3", "-u", "-z", str(place)], check=True)
        with contextlib.suppress(OSError):
            os.close(left)
        place = self.mount(image=self.image)
        self.assertEqual(harness.run("cat", self.image, "/e/f").stdout[:90000], content[:90000])
        self.unmount(place)

    def test_holes(self):
        place = self.mount()
        with open(place / "s", "w+b") as file:
            descriptor = file.fileno()
            os.ftruncate(descriptor, 1 << 44)
            os.pwrite(descriptor, b"x" * 40000, 1 << 43)
            os.fsync(descriptor)
            start = os.lseek(descriptor, 0, os.SEEK_DATA)
            self.assertEqual(start, 1 << 43)
            self.assertEqual(os.lseek(descriptor, start, os.SEEK_HOLE), (1 << 43) + 49152)
            self.assertEqual(error_of(os.lseek, descriptor, 1 << 44, os.SEEK_DATA), "ENXIO")
        data = random.Random(harness.SEED).randbytes(200000)
        (place / "p").write_bytes(data)
        for offset, length in ((10, 100), (16384, 32768), (60000, 50000), (150000, 100000)):
            subprocess.run(["fallocate", "-p", "-o", str(offset), "-l", str(length), str(place / "p")], check=True)
            data = data[:offset] + bytes(min(length, len(data) - offset)) + data[offset + length:]
            self.assertEqual((place / "p").read_bytes(), data)
        subprocess.run(["fallocate", "-l", "300000", str(place / "p")], check=True)
        self.assertEqual((place / "p").read_bytes(), data + bytes(100000))
        subprocess.run(["cp", "--sparse=always", str(place / "p"), str(place / "q")], check=True)
        self.assertEqual((place / "q").read_bytes(), data + bytes(100000))
        self.unmount(place)

    def test_allocations(self):
        """As ext4 has it: each modifies the file, and what there is no room for is refused."""
        place = self.mount()
        keep, punch, collapse, zero, insert = 1, 2, 8, 16, 32
        library = ctypes.CDLL(None, use_errno=True)
        library.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
        data = random.Random(harness.SEED).randbytes(200000)

        def allocate(mode, offset, length):
            with open(place / "f", "w+b", buffering=0) as file:
                file.write(data)
                os.utime(file.fileno(), ns=(1, 1))
                before = os.fstat(file.fileno())
                done = library.fallocate(file.fileno(), mode, offset, length) == 0
                error = None if done else errno.errorcode[ctypes.get_errno()]
                after = os.fstat(file.fileno())
                if done:
                    self.assertGreater(after.st_mtime_ns, before.st_mtime_ns)
                    self.assertGreater(after.st_ctime_ns, before.st_ctime_ns)
                file.seek(0)
                return error, after.st_size, file.read()
        size = len(data)
        for mode, offset, length, end in (
                (0, 0, 4096, size), (0, 1000, 300000, 301000), (keep, 0, 4096, size), (keep, 500000, 4096, size)):
            self.assertEqual(allocate(mode, offset, length), (None, end, data + bytes(end - size)), (mode, offset))
        for mode, end in ((keep | punch, size), (zero, size), (keep | zero, size)):
            zeroed = data[:10000] + bytes(50000) + data[60000:]
            self.assertEqual(allocate(mode, 10000, 50000), (None, end, zeroed), mode)
        self.assertEqual(allocate(zero, 190000, 50000), (None, 240000, data[:190000] + bytes(50000)))
        self.assertEqual(allocate(keep | punch, 300000, 50000), (None, size, data))
        # FUSE does not hand these on.
        for mode in (collapse, insert, punch, 0x80):
            self.assertEqual(allocate(mode, 16384, 16384), ("ENOTSUP", size, data))
        for mode in (0, keep, zero, keep | zero):
            self.assertEqual(allocate(mode, 0, 1 << 30), ("ENOSPC", size, data))
        self.assertEqual(allocate(keep | punch, 0, 1 << 30)[:2], (None, size))
        # What the file has already needs no room.
        room = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
        with open(place / "big", "w+b", buffering=0) as file:
            for _ in range(room * 2 // 3 >> 20):
                file.write(bytes(1 << 20))
            size = os.fstat(file.fileno()).st_size
            os.posix_fallocate(file.fileno(), 0, size + (1 << 20))
            self.assertEqual(error_of(os.posix_fallocate, file.fileno(), 0, 2 * size), "ENOSPC")
            self.assertEqual(os.fstat(file.fileno()).st_size, size + (1 << 20))
        self.unmount(place)

    def test_a_mapping_of_what_is_appended_to(self):
        place = self.mount()
        with open(place / "f", "a+b", buffering=0) as file:
            file.write(b"a" * 10000)
            with mmap.mmap(file.fileno(), 0) as mapping:
                mapping[:4] = b"HEAD"
            file.write(b"tail")
        self.unmount(place)
        self.assertEqual(
            harness.run("cat", self.image, "/f").stdout, b"HEAD" + b"a" * 9996 + b"tail")

    def test_who_changes_a_program_takes_its_rights_away(self):
        place = self.mount()
        for change in (": > p", "echo >> p", "truncate -s 3 p"):
            (place / "p").write_bytes(b"program")
            os.chmod(place / "p", 0o6777)
            subprocess.run(["sh", "-c", change], cwd=place, user=1, group=1, extra_groups=[], check=True)
            self.assertEqual(stat.S_IMODE(os.stat(place / "p").st_mode), 0o777, change)
        self.unmount(place)

    def test_a_listing_survives_changes(self):
        place = self.mount()
        for number in range(5000):
            (place / ("n%d" % number)).touch()
        with os.scandir(place) as entries:
            seen = {next(entries).name for _ in range(100)}
            for number in range(0, 5000, 2):
                os.unlink(place / ("n%d" % number))
            seen |= {entry.name for entry in entries}
        self.assertTrue({"n%d" % number for number in range(1, 5000, 2)} <= seen)
        self.assertEqual(len(os.listdir(place)), 2500)
        self.unmount(place)

    def test_random_contents(self):
        place = self.mount()
        chance = random.Random(harness.SEED)
        model = bytearray()
        descriptor = os.open(place / "f", os.O_RDWR | os.O_CREAT)
        for step in range(600):
            choice = chance.randrange(10)
            offset = chance.randrange(0, 400000)
            if choice < 5:
                data = chance.randbytes(chance.choice((1, 100, 5000, 40000)))
                os.pwrite(descriptor, data, offset)
                if len(model) < offset:
                    model.extend(bytes(offset - len(model)))
                model[offset:offset + len(data)] = data
            elif choice == 5:
                os.ftruncate(descriptor, offset)
                del model[offset:]
                model.extend(bytes(offset - len(model)))
            elif choice == 6:
                os.fsync(descriptor)
            elif choice == 7 and model:
                length = chance.randrange(1, 60000)
                subprocess.run(["fallocate", "-n", "-p", "-o", str(offset), "-l", str(length), str(place / "f")],
                               check=True)
                end = min(len(model), offset + length)
                if offset < end:
                    model[offset:end] = bytes(end - offset)
            else:
                length = chance.randrange(1, 100000)
                self.assertEqual(os.pread(descriptor, length, offset), bytes(model[offset:offset + length]), step)
        os.close(descriptor)
        self.unmount(place)
        self.assertEqual(harness.run("cat", self.image, "/f").stdout, bytes(model))

    def test_everyday_programs(self):
        place = self.mount()
        source = harness.ROOT / "Sources"
        shell = """
            set -e
            tar -C '%s' -cf s.tar . && mkdir t && tar -C t -xf s.tar && diff -r '%s' t
            cp -a t u && diff -r t u && rm -r t
            git init -q r && cd r && cp -r ../u/* . && git add . && git -c user.name=a -c user.email=a commit -qm a
            git config gc.auto 0 && git gc -q && git fsck --strict 2>&1 && git status --porcelain && cd ..
            git clone -q r c && diff -r -x .git r c
            sed -i s/import/export/ c/*/*.swift && git -C c diff --stat | tail -1
            find . -type f | wc -l && du -s . > /dev/null
        """ % (source, source)
        result = subprocess.run(["sh", "-c", shell], cwd=place, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        with contextlib.closing(sqlite3.connect(place / "db", isolation_level=None)) as base:
            base.execute("pragma journal_mode=wal")
            base.execute("create table t (a integer primary key, b blob)")

        def writer(number):
            with contextlib.closing(sqlite3.connect(place / "db", timeout=60)) as base:
                for step in range(20):
                    base.execute("insert into t values (?, ?)", (number * 100 + step, os.urandom(2000)))
                    base.commit()
        threads = [threading.Thread(target=writer, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with contextlib.closing(sqlite3.connect(place / "db")) as base:
            self.assertEqual(base.execute("select count(*) from t").fetchone(), (160,))
            self.assertEqual(base.execute("pragma integrity_check").fetchone(), ("ok",))
        self.unmount(place)

    def test_what_was_synced_is_there_after_a_kill(self):
        place = self.mount()
        for number in range(50):
            with open(place / ("f%d" % number), "wb") as file:
                file.write(b"%d" % number * 10000)
                file.flush()
                if number < 40:
                    os.fsync(file.fileno())
        process = self.process()
        self.assertTrue(process)
        os.kill(process, signal.SIGKILL)
        self.assertIn(error_of(os.listdir, place), ("ENOTCONN", "ECONNABORTED", "ECANCELED"))
        subprocess.run(["fusermount3", "-u", str(place)], check=True)
        place = self.mount(image=self.image)
        for number in range(40):
            self.assertEqual((place / ("f%d" % number)).read_bytes(), b"%d" % number * 10000)
        self.unmount(place)


@can_mount
class ProgramsOverTheDevice(Programs):
    """The same where the kernel does not speak io_uring."""

    def mount(self, *words, **named):
        return super().mount("-o", "noio_uring", *words, **named)


RING_SETTING = "/sys/module/fuse/parameters/enable_uring"


@can_mount
@unittest.skipUnless(os.path.exists(RING_SETTING), "the kernel does not speak FUSE over io_uring")
class Ring(Mounted):
    def rings(self):
        folder = "/proc/%d/fd" % self.process()
        count = 0
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                count += "io_uring" in os.readlink("%s/%s" % (folder, name))
        return count

    def test_root_has_it_on_while_it_mounts(self):
        with open(RING_SETTING) as file:
            before = file.read()
        place = self.mount()
        self.assertGreater(self.rings(), 0)
        self.unmount(place)
        place = self.mount("-o", "noio_uring", image=self.image)
        self.assertEqual(self.rings(), 0)
        self.unmount(place)
        with open(RING_SETTING) as file:
            self.assertEqual(file.read(), before)

    def test_nobody_hangs_when_the_process_dies(self):
        place = self.mount()
        work = "cd %s; mkdir $$; cd $$; n=0; while echo $n > f$((n %% 50)) && cat f0 > /dev/null; do n=$((n + 1)); done"
        workers = [subprocess.Popen(["sh", "-c", work % place], stderr=subprocess.DEVNULL) for _ in range(16)]
        harness.wait_until(lambda: len(os.listdir(place)) == len(workers))
        os.kill(self.process(), signal.SIGKILL)
        for worker in workers:
            worker.wait(60)
        subprocess.run(["fusermount3", "-u", "-z", str(place)], check=True)
        place = self.mount(image=self.image)
        self.unmount(place)

    def test_more_wait_than_are_answered_at_a_time(self):
        """Each of 40 programs waits for the disk, and none for ever."""
        place = self.mount()

        def writer(number):
            for step in range(10):
                with open(place / ("f%d" % number), "wb") as file:
                    file.write(b"%d" % step * 1000)
                    os.fsync(file.fileno())

        threads = [threading.Thread(target=writer, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertFalse(any(thread.is_alive() for thread in threads))
        self.assertEqual({(place / name).read_bytes() for name in os.listdir(place)}, {b"9" * 1000})
        self.unmount(place)


@can_mount
class TwoDoors(Mounted):
    def test_each_sees_what_the_other_does(self):
        place = self.mount()
        socket = "%s.sock" % self.image

        def settled(function, expected):
            """The kernel is told behind the answer: soon, but not at once."""
            for _ in range(2000):
                found = function()
                if found == expected:
                    return
            self.assertEqual(function(), expected)
        (place / "f").write_text("one")
        self.assertEqual(harness.run_text("cat", socket, "/f"), "one")
        harness.run("cp", socket, "-", ":/f", stdin=b"another")
        settled(lambda: (place / "f").read_text(), "another")
        self.assertEqual(error_of(os.stat, place / "new"), "ENOENT")
        harness.run("mkdir", socket, "/new")
        settled(lambda: os.path.isdir(place / "new"), True)
        harness.run("mv", socket, "/f", "/g")
        settled(lambda: sorted(os.listdir(place)), ["g", "new"])
        harness.run("chmod", socket, "0600", "/g")
        settled(lambda: stat.S_IMODE(os.stat(place / "g").st_mode), 0o600)
        harness.run("rm", "-y", socket, "/g")
        settled(lambda: os.path.exists(place / "g"), False)
        # Users who come to be known to the volume are seen as owners.
        self.assertEqual(error_of(os.chown, place / "new", 1, -1), "EPERM")
        harness.run("users", "add", socket, "daemon")
        settled(lambda: error_of(os.chown, place / "new", 1, -1), None)
        self.assertEqual(os.stat(place / "new").st_uid, 1)
        self.assertEqual(error_of(os.stat, place / "was"), "ENOENT")
        harness.run("mkdir", socket, "/was")
        harness.run("snap", "create", socket, "main", "s")
        harness.run("rm", "-y", socket, "/was")
        settled(lambda: os.path.exists(place / "was"), False)
        (place / "later").write_text("x")
        harness.run("snap", "rollback", socket, "main", "s", "--discard", "--yes")
        settled(lambda: sorted(os.listdir(place)), ["new", "was"])
        settled(lambda: os.path.exists(place / "was"), True)
        settled(lambda: os.path.exists(place / "later"), False)
        (place / "after").write_text("x")
        self.unmount(place)


@can_mount
class Holders(Mounted):
    """Who holds the image mounts it."""

    def test_one_process_mounts_several_branches(self):
        main = self.mount()
        (main / "a").write_text("main")
        harness.run("snap", "fork", self.image, "main", "work")
        work = self.folder / "work"
        work.mkdir()
        harness.run("mount", self.image, work, "--branch", "work")
        self.addCleanup(subprocess.run, ["fusermount3", "-u", "-q", "-z", str(work)], stderr=subprocess.DEVNULL)
        (work / "a").write_text("work")
        self.assertEqual((main / "a").read_text(), "main")
        self.assertEqual(harness.run_json("info", self.image)[0]["server"]["mounts"], [str(main), str(work)])
        # The one that came first may go first.
        harness.run("umount", main)
        self.assertEqual((work / "a").read_text(), "work")
        self.unmount(work)
        self.assertEqual(harness.run_text("cat", self.image, "main:/a", "work:/a"), "mainwork")

    def test_a_server_mounts_and_goes_on(self):
        image = self.ream(size=512 * harness.MEBIBYTE)
        server = self.serve(image)
        place = self.mount(image=image, options=())
        (place / "a").write_text("text")
        self.assertEqual(harness.run_text("cat", image, "/a"), "text")
        harness.run("mount", image, self.folder, "--cache", "64M", status=2)
        harness.run("mount", image, self.folder, "-o", "cache=64M", status=2)
        harness.run("mount", image, self.folder, "-o", "branch=nowhere", status=1)
        harness.run("umount", place)
        self.assertFalse(os.path.ismount(place))
        self.assertEqual(harness.run_text("cat", image, "/a"), "text")
        # What is mounted when the server ends is unmounted.
        place = self.mount(image=image, options=())
        server.stop()
        self.assertFalse(os.path.ismount(place))
        self.assert_clean(image)

    def test_a_command_is_tried_in_a_mounted_fork(self):
        image = self.ream(size=512 * harness.MEBIBYTE)
        harness.run("mkdir", image, "/src")
        harness.run("cp", image, "-", ":/src/a", stdin=b"before")
        # What it leaves running in the fork does not keep it.
        command = 'test "$GEFS_DIR" = "$(pwd)" && cd src && mv a b && echo new >> b && (sleep 60 >&- 2>&- &)'
        text = harness.run_text("try", image, "--apply", "--", "sh", "-c", command)
        self.assertEqual(text.splitlines()[0], "RM /src/a -> /src/b")
        self.assertEqual(harness.run_text("cat", image, "/src/b"), "beforenew\n")
        self.serve(image)
        harness.run("try", image, "--discard", "--", "rm", "-r", "src")
        self.assertEqual(harness.run_text("ls", image, "/src"), "b\n")
        inner = harness.run_text("try", image, "--discard", "--no-mount", "--", "sh", "-c", "pwd; echo $GEFS_DIR")
        self.assertEqual(inner, os.getcwd() + "\n\n")

    def test_the_end_does_not_wait_for_programs(self):
        place = self.mount()
        process = self.process()
        file = os.open(place / "open", os.O_RDWR | os.O_CREAT)
        os.write(file, b"written")
        os.kill(process, signal.SIGTERM)
        harness.wait_until(lambda: not os.path.exists("/proc/%d" % process))
        self.assertIn(error_of(os.pread, file, 1 << 20, 1 << 20), ("ENOTCONN", "ECONNABORTED"))
        with contextlib.suppress(OSError):
            os.close(file)
        self.assertFalse(os.path.ismount(place))
        self.assertEqual(harness.run_text("cat", self.image, "/open"), "written")
        self.assert_clean(self.image)

    def test_a_mount_whose_process_was_killed_can_be_unmounted(self):
        place = self.mount()
        process = self.process()
        os.kill(process, signal.SIGKILL)
        harness.wait_until(lambda: error_of(os.listdir, place) == "ENOTCONN")
        harness.run("umount", place)
        self.assertEqual(os.listdir(place), [])
        self.mount(image=self.image)
        self.unmount(place)


if __name__ == "__main__":
    unittest.main()
