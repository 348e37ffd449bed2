"""Volumes with the feature posix, what every mount shows beside its branch, and conversion."""
import fcntl
import os
import shutil
import stat
import subprocess
import time
import unittest

import harness
from test_mount import Mounted, can_mount, error_of, link_open


class Posix(Mounted):
    def mount_posix(self, *words, **named):
        image = named.pop("image", None)
        if image is None:
            image = self.folder / "posix.img"
            harness.run("ream", image, "--size", "512M", "--features", "posix", "--user", "root")
        return self.mount(*words, image=image, **named)

    def as_user(self, user, function, folder):
        """Does something as somebody else, in a folder."""
        child = os.fork()
        if child == 0:
            try:
                os.chdir(folder)
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
                function()
                os._exit(0)
            finally:
                os._exit(1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def unmount_posix(self, place):
        harness.run("umount", place)
        harness.run("check", "--strict", self.image)


@can_mount
class Features(Posix):
    def test_hard_links(self):
        place = self.mount_posix()
        (place / "a").write_text("text")
        os.makedirs(place / "d")
        os.link(place / "a", place / "b")
        os.link(place / "b", place / "d" / "c")
        numbers = {os.stat(place / name).st_ino for name in ("a", "b", "d/c")}
        self.assertEqual(len(numbers), 1)
        self.assertEqual(os.stat(place / "a").st_nlink, 3)
        (place / "d" / "c").write_text("changed")
        self.assertEqual((place / "a").read_text(), "changed")
        os.unlink(place / "a")
        os.rename(place / "d" / "c", place / "d" / "e")
        self.assertEqual(os.stat(place / "b").st_nlink, 2)
        self.assertEqual(error_of(os.link, place / "d", place / "x"), "EPERM")
        self.unmount_posix(place)
        place = self.mount_posix(image=self.image)
        self.assertEqual((place / "d" / "e").read_text(), "changed")
        # 9P sees the same.
        self.assertEqual(harness.run_text("cat", self.image, "/b"), "changed")
        harness.run("rm", "--yes", self.image, "/b")
        self.assertEqual(os.stat(place / "d" / "e").st_nlink, 1)
        self.unmount_posix(place)

    def test_extended_attributes(self):
        place = self.mount_posix()
        (place / "f").write_text("text")
        long = os.urandom(60000)
        os.setxattr(place / "f", "user.short", b"value")
        os.setxattr(place / "f", "user.long", long)
        os.setxattr(place / "f", "user.empty", b"")
        self.assertEqual(error_of(os.setxattr, place / "f", "user.short", b"x", os.XATTR_CREATE), "EEXIST")
        self.assertEqual(error_of(os.setxattr, place / "f", "nobody.knows", b"x"), "ENOTSUP")
        self.assertEqual(error_of(os.setxattr, place / "f", "user.none", b"x", os.XATTR_REPLACE), "ENODATA")
        self.unmount_posix(place)
        place = self.mount_posix(image=self.image)
        self.assertEqual(sorted(os.listxattr(place / "f")), ["user.empty", "user.long", "user.short"])
        self.assertEqual(os.getxattr(place / "f", "user.long"), long)
        os.removexattr(place / "f", "user.long")
        self.assertEqual(error_of(os.getxattr, place / "f", "user.long"), "ENODATA")
        os.unlink(place / "f")
        self.unmount_posix(place)

    def test_attributes_of_what_lost_its_name(self):
        place = self.mount_posix()
        with open(place / "f", "w+b", buffering=0) as file:
            os.setxattr(file.fileno(), "user.kept", b"value")
            os.unlink(place / "f")
            self.assertEqual(os.getxattr(file.fileno(), "user.kept"), b"value")
            os.setxattr(file.fileno(), "user.new", os.urandom(5000))
            os.removexattr(file.fileno(), "user.kept")
            self.assertEqual(os.listxattr(file.fileno()), ["user.new"])
            self.assertEqual(len(os.getxattr(file.fileno(), "user.new")), 5000)
            os.fchmod(file.fileno(), 0o640)
            self.assertEqual(stat.S_IMODE(os.fstat(file.fileno()).st_mode), 0o640)
        self.unmount_posix(place)

    @unittest.skipUnless(shutil.which("setfacl"), "needs setfacl")
    def test_access_control_lists(self):
        place = self.mount_posix()
        os.mkdir(place / "d")
        for folder in (self.folder, place):
            os.chmod(folder, 0o755)
        (place / "f").write_text("secret")
        os.chmod(place / "f", 0o600)

        def can_read(name):
            command = ["setpriv", "--reuid", "1", "--regid", "1", "--clear-groups", "cat", str(place / name)]
            return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

        self.assertFalse(can_read("f"))
        subprocess.run(["setfacl", "-m", "u:1:r", str(place / "f")], check=True)
        self.assertTrue(can_read("f"))
        # The group's bits are the mask now: chmod takes the right away.
        os.chmod(place / "f", 0o600)
        self.assertFalse(can_read("f"))
        subprocess.run(["setfacl", "-d", "-m", "u:1:rwx", str(place / "d")], check=True)
        old = os.umask(0o077)
        try:
            (place / "d" / "new").write_text("x")
        finally:
            os.umask(old)
        self.assertTrue(can_read("d/new"))
        subprocess.run(["setfacl", "-b", str(place / "f")], check=True)
        self.assertEqual(stat.S_IMODE(os.stat(place / "f").st_mode), 0o600)
        self.unmount_posix(place)

    def test_who_changes_a_program_takes_its_rights_away(self):
        place = self.mount_posix()
        os.chmod(place, 0o777)
        source = place / "source"
        source.write_bytes(b"new")
        capability = bytes.fromhex("0100000202040000000000000000000000000000")

        def program(mode=0o6777):
            (place / "p").write_bytes(b"program")
            os.chown(place / "p", 1, 1)
            os.chmod(place / "p", mode)
            os.setxattr(place / "p", "security.capability", capability)
            os.setxattr(place / "p", "user.other", b"x")

        def mode():
            return stat.S_IMODE(os.stat(place / "p").st_mode)

        def shell(command):
            return lambda: subprocess.run(["sh", "-c", command], check=True)

        def copy():
            with open("source", "rb") as file, open("p", "r+b") as other:
                os.copy_file_range(file.fileno(), other.fileno(), 3)
        changes = [shell(text) for text in (
            ": > p", "echo >> p", "truncate -s 3 p", "truncate -s 100 p", "fallocate -l 100 p",
            "fallocate -n -p -o 0 -l 4 p")] + [copy]
        for index, change in enumerate(changes):
            for user, kept in ((2, 0o777), (0, 0o6777)):
                program()
                self.as_user(user, change, place)
                self.assertEqual(mode(), kept, (user, index))
                self.assertEqual(os.listxattr(place / "p"), ["user.other"], (user, index))
        # What can be executed is not what it was, also where nobody has looked since.
        program(0o6777)
        shown = subprocess.run(["sh", "-c", f"cat {shutil.which('id')} > p; exec ./p -u"], cwd=place, user=2, group=2,
                               extra_groups=[], check=True, stdout=subprocess.PIPE).stdout
        self.assertEqual(shown, b"2\n")
        for owner in ((0, -1), (-1, 0)):
            program()
            os.chown(place / "p", *owner)
            self.assertEqual(mode(), 0o777)
            self.assertEqual(os.listxattr(place / "p"), ["user.other"])
        # A group's bit that gives nobody anything stays.
        program(0o2767)
        subprocess.run(["sh", "-c", "echo >> p"], cwd=place, user=1, group=1, extra_groups=[], check=True)
        self.assertEqual(mode(), 0o2767)
        self.unmount_posix(place)

    def test_what_sparse_files_take(self):
        place = self.mount_posix()
        block = 16384
        with open(place / "f", "w+b", buffering=0) as file:
            os.truncate(place / "f", 1 << 40)
            os.pwrite(file.fileno(), b"x" * 100, 1 << 39)
            os.pwrite(file.fileno(), b"x" * 3 * block, 0)

        def taken(name):
            return os.stat(place / name).st_blocks * 512
        self.assertEqual(taken("f"), 4 * block)
        # Whole files, whatever their size, take the blocks that they are in.
        for count in (0, 1, block, block + 1):
            (place / "whole").write_bytes(b"x" * count)
            self.assertEqual(taken("whole"), -(-count // block) * block)
        self.unmount_posix(place)
        place = self.mount_posix(image=self.image)
        self.assertEqual(taken("f"), 4 * block)
        os.chmod(place / "f", 0o600)
        self.assertEqual(taken("f"), 4 * block)
        subprocess.run(["cp", str(place / "f"), str(place / "g")], check=True, timeout=60)
        self.assertEqual((os.stat(place / "g").st_size, taken("g")), (1 << 40, 4 * block))
        subprocess.run(["fallocate", "-p", "-o", "0", "-l", str(block), str(place / "f")], check=True)
        self.assertEqual(taken("f"), 3 * block)
        with open(place / "f", "r+b") as file:
            os.pwrite(file.fileno(), b"x", 0)
            os.pwrite(file.fileno(), b"x", 10 * block)
        self.assertEqual(taken("f"), 5 * block)
        os.truncate(place / "f", 2 * block)
        self.assertEqual(taken("f"), 2 * block)
        self.unmount_posix(place)

    @unittest.skipUnless(shutil.which("setfacl"), "needs setfacl")
    def test_what_is_made_without_a_name_has_attributes(self):
        place = self.mount_posix()
        os.mkdir(place / "d")
        subprocess.run(["setfacl", "-d", "-m", "u:1:rwx", str(place / "d")], check=True)
        file = os.open(place / "d", os.O_TMPFILE | os.O_RDWR, 0o660)
        os.setxattr(file, "user.a", b"b" * 1000)
        link_open(file, place / "f")
        os.link(place / "f", place / "g")
        os.close(file)
        self.unmount_posix(place)
        place = self.mount_posix(image=self.image)
        self.assertEqual(os.getxattr(place / "g", "user.a"), b"b" * 1000)
        self.assertIn("system.posix_acl_access", os.listxattr(place / "f"))
        self.assertEqual(os.stat(place / "f").st_nlink, 2)
        self.unmount_posix(place)

    def test_names_times_and_owners(self):
        place = self.mount_posix()
        names = [b"n" * 255, b"a\nb\x01\xff", b"\x7f"]
        for name in names:
            (place / os.fsdecode(name)).write_text("x")
        self.assertEqual(sorted(os.listdir(os.fsencode(place))), sorted(names))
        self.assertEqual(os.statvfs(place).f_namemax, 255)
        self.assertEqual(error_of(os.mkdir, place / ("n" * 256)), "ENAMETOOLONG")
        path = place / os.fsdecode(names[1])
        os.chown(path, 61234, 61235)
        os.utime(path, ns=(1, 2))
        before = os.stat(path).st_ctime_ns
        os.mkdir(place / "d")
        os.mkdir(place / "d" / "x")
        os.mkdir(place / "d" / "y")
        self.assertEqual(os.stat(place / "d").st_nlink, 4)
        self.unmount_posix(place)
        place = self.mount_posix(image=self.image)
        status = os.stat(path)
        self.assertEqual((status.st_uid, status.st_gid), (61234, 61235))
        self.assertEqual((status.st_mtime_ns, status.st_ctime_ns), (2, before))
        self.assertEqual(os.stat(place / "d").st_nlink, 4)
        self.unmount_posix(place)

    def test_rsync_keeps_everything(self):
        if not shutil.which("rsync"):
            self.skipTest("needs rsync")
        place = self.mount_posix()
        source = self.folder / "source"
        os.makedirs(source / "sub")
        (source / "a").write_bytes(os.urandom(100_000))
        os.link(source / "a", source / "sub" / "b")
        os.symlink("a", source / "link")
        os.mkfifo(source / "fifo")
        os.chmod(source / "a", 0o640)
        os.setxattr(source / "a", "user.note", b"kept")
        for _ in range(2):
            subprocess.run(["rsync", "-aHAX", f"{source}/", f"{place}/copy/"], check=True)
        differences = subprocess.run(
            ["rsync", "-aHAXn", "--checksum", "--itemize-changes", f"{source}/", f"{place}/copy/"],
            check=True, stdout=subprocess.PIPE).stdout
        self.assertEqual(differences, b"")
        self.assertEqual(os.stat(place / "copy" / "a").st_nlink, 2)
        self.assertEqual(os.getxattr(place / "copy" / "sub" / "b", "user.note"), b"kept")
        self.unmount_posix(place)


@can_mount
class FeaturesOverTheDevice(Features):
    """The same where the kernel does not speak io_uring."""

    def mount(self, *words, **named):
        return super().mount("-o", "noio_uring", *words, **named)


@can_mount
class Control(Posix):
    def test_states_beside_the_branch(self):
        place = self.mount()
        (place / "f").write_text("old")
        control = place / ".gefs"
        self.assertNotIn(".gefs", os.listdir(place))
        self.assertEqual(sorted(os.listdir(control)), ["at", "ctl", "snapshots"])
        (control / "ctl").write_text("snap main then\n")
        (place / "f").write_text("new")
        self.assertEqual((control / "snapshots" / "then" / "f").read_text(), "old")
        self.assertEqual((control / "at" / "then" / "f").read_text(), "old")
        self.assertIn("then", os.listdir(control / "snapshots"))
        # Other numbers, or programs would take both for the same file.
        self.assertNotEqual(
            os.stat(place / "f").st_ino, os.stat(control / "snapshots" / "then" / "f").st_ino)
        self.assertEqual(
            subprocess.run(["diff", "-q", place / "f", control / "snapshots" / "then" / "f"],
                           stdout=subprocess.DEVNULL).returncode, 1)
        self.assertEqual(error_of((control / "snapshots" / "then" / "f").write_text, "x"), "EROFS")
        self.assertFalse((control / "snapshots" / "nowhere").exists())
        self.assertFalse((control / "at" / "nowhere").exists())
        with open(control / "ctl", "r+b", buffering=0) as command:
            command.write(b"snap list\n")
            self.assertIn(b"then", command.read(100_000))
            for refused in (b"nonsense\n", b"unmount /\n", b"halt\n"):
                self.assertEqual(error_of(command.write, refused), "EINVAL")
                self.assertNotEqual(command.read(1000), b"")
        # Somebody is in there.
        with open(control / "snapshots" / "then" / "f"):
            self.assertEqual(error_of((control / "ctl").write_text, "snap -d then\n"), "EINVAL")
        # Nobody is any more; that the kernel remembers it is no reason.
        (control / "ctl").write_text("snap -d then\n")
        self.assertNotIn("then", os.listdir(control / "snapshots"))
        self.unmount(place)
        place = self.mount("--no-ctl", image=self.image)
        self.assertFalse((place / ".gefs").exists())
        (place / ".gefs").write_text("mine")
        self.unmount(place)
        # A file of that name is not hidden by ours.
        place = self.mount(image=self.image)
        self.assertEqual((place / ".gefs").read_text(), "mine")
        self.unmount(place)

    def test_programs_make_snapshots(self):
        place = self.mount()
        (place / "f").write_text("old")
        snapshot, fork = 0x41006701, 0x41006702
        directory = os.open(place, os.O_RDONLY)
        fcntl.ioctl(directory, snapshot, b"then".ljust(256, b"\0"))
        with open(place / "f") as file:
            fcntl.ioctl(file, fork, b"work".ljust(256, b"\0"))
        (place / "f").write_text("new")
        self.assertEqual((place / ".gefs" / "snapshots" / "then" / "f").read_text(), "old")
        self.assertEqual(harness.run_text("cat", self.image, "work:/f"), "old")
        for name, error in ((b"then", "EEXIST"), (b"", "EINVAL"), (b"a/b", "EINVAL"), (b"n" * 256, "EINVAL")):
            self.assertEqual(error_of(fcntl.ioctl, directory, snapshot, name.ljust(256, b"\0")), error)
        self.assertEqual(error_of(fcntl.ioctl, directory, 0x41006703, b"x".ljust(256, b"\0")), "ENOTTY")
        os.close(directory)
        self.unmount(place)

    def test_all_labels(self):
        place = self.mount("--all")
        self.assertEqual(sorted(os.listdir(place)), ["adm", "empty", "main"])
        (place / "main" / "f").write_text("main's")
        harness.run("snap", "fork", self.image, "main", "work")
        (place / "work" / "f").write_text("work's")
        self.assertEqual((place / "main" / "f").read_text(), "main's")
        self.assertEqual(error_of(os.rename, place / "work" / "f", place / "main" / "g"), "EXDEV")
        # What comes through another door is seen.
        second = self.mount("--branch", "work", image=self.image, name="second", options=())
        (second / "f").write_text("again")
        deadline = time.monotonic() + 10
        while (place / "work" / "f").read_text() != "again":
            self.assertLess(time.monotonic(), deadline)
        harness.run("umount", second)
        self.unmount(place)


@can_mount
class Conversion(Posix):
    def test_there_and_back(self):
        place = self.mount()
        (place / "f").write_text("text")
        os.mkdir(place / "d")
        self.unmount(place)
        harness.run("convert", self.image, "--to", "posix", "--dry-run")
        harness.run("convert", self.image, "--to", "posix")
        place = self.mount(image=self.image)
        # Owners are still those of the users file.
        self.assertEqual(error_of(os.chown, place / "f", 61234, -1), "EPERM")
        os.link(place / "f", place / "g")
        os.setxattr(place / "d", "user.a", b"b")
        for number in range(500):
            (place / "d" / f"{number}").write_text("x")
        for number in range(500):
            os.unlink(place / "d" / f"{number}")
        self.unmount_posix(place)
        text = harness.run("convert", self.image, "--to", "classic", "--drop-attributes", status=1).stderr.decode()
        self.assertIn("several names", text)
        place = self.mount(image=self.image)
        os.unlink(place / "g")
        self.unmount_posix(place)
        harness.run("convert", self.image, "--to", "classic", status=1)
        harness.run("convert", self.image, "--to", "classic", "--drop-attributes")
        # The oracle knows nothing of the feature.
        self.assert_clean(self.image)
        self.assertEqual(harness.run_text("cat", self.image, "/f"), "text")

    def test_snapshots_are_in_the_way(self):
        place = self.mount_posix()
        (place / "f").write_text("text")
        harness.run("snap", "create", self.image, "main", "kept")
        self.unmount_posix(place)
        text = harness.run("convert", self.image, "--to", "classic", status=1).stderr.decode()
        self.assertIn("kept", text)
        harness.run("snap", "delete", self.image, "kept", "--yes")
        harness.run("convert", self.image, "--to", "classic")
        self.assert_clean(self.image)


if __name__ == "__main__":
    unittest.main()
