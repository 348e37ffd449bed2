"""Programs are built on a mount."""
import os
import shutil
import subprocess
import unittest

import harness
from test_mount import Mounted, can_mount

MODULES = 150 * harness.scale()

MAKEFILE = """\
CFLAGS = -O1 -Wall -Werror
MODULES := $(sort $(wildcard src/*/*.c))
OBJECTS := $(MODULES:src/%.c=out/%.o)

all: out/program

out/program: out/main.o out/libmodules.a
	cc -o $@.new out/main.o out/libmodules.a
	mv -f $@.new $@

out/libmodules.a: $(OBJECTS)
	rm -f $@ && ar rcs $@ $(OBJECTS)

out/%.o: src/%.c
	@mkdir -p $(@D)
	../cached $@ $< $(CFLAGS)

clean:
	rm -rf out

-include $(OBJECTS:.o=.d) out/main.d
.PHONY: all clean
"""

# What ccache does: an object comes to its place by a rename, whole, and from there into the tree.
CACHED = """\
#!/bin/sh
set -e
cache=$(dirname "$0")/cache object=$1 source=$2
shift 2
key=$(cc "$@" -E "$source" | cat - "$cache/salt" | cksum | tr ' ' -)
place=$cache/$(expr substr "$key" 1 2)
mkdir -p "$place"
if ! test -e "$place/$key.o"; then
    cc "$@" -MMD -MP -MF "$place/$key.$$.d" -MT "$object" -c -o "$place/$key.$$.tmp" "$source"
    mv "$place/$key.$$.d" "$place/$key.d"
    mv "$place/$key.$$.tmp" "$place/$key.o"
    echo miss >> "$cache/log"
fi
cp "$place/$key.d" "${object%.o}.d"
rm -f "$object"
ln "$place/$key.o" "$object" 2> /dev/null || cp "$place/$key.o" "$object"
touch "$object"
"""


@can_mount
@unittest.skipUnless(shutil.which("cc") and shutil.which("make"), "needs cc and make")
class Builds(Mounted):
    features = ()

    def mount_new(self, size):
        image = self.folder / "build.img"
        harness.run("ream", image, "--size", size, "--user", "root", *self.features)
        return self.mount(image=image)

    def unmount(self, place):
        harness.run("umount", place)
        harness.run("check", "--strict", self.image)

    def make(self, folder, *words):
        result = subprocess.run(["make", "-j4", *words], cwd=folder, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def generate(self, folder):
        """A program of many modules, each of which uses the one before it."""
        for number in range(MODULES):
            directory = folder / "src" / ("part%d" % (number % 12))
            directory.mkdir(parents=True, exist_ok=True)
            (directory / ("m%d.h" % number)).write_text("int f%d(int value);\n" % number)
            body = "value"
            include = ""
            if number:
                include = '#include "../part%d/m%d.h"\n' % ((number - 1) % 12, number - 1)
                body = "f%d(value)" % (number - 1)
            (directory / ("m%d.c" % number)).write_text(
                '#include "m%d.h"\n%sint f%d(int value) { return %s + %d; }\n'
                % (number, include, number, body, number))
        last = MODULES - 1
        (folder / "src" / "main.c").write_text(
            '#include <stdio.h>\n#include "part%d/m%d.h"\n'
            'int main(void) { printf("%%d\\n", f%d(1)); return 0; }\n' % (last % 12, last, last))
        (folder / "Makefile").write_text(MAKEFILE)

    def test_a_tree_of_c_files(self):
        place = self.mount_new("1G")
        (place / "cache").mkdir()
        (place / "cache" / "salt").write_text("1")
        (place / "cached").write_text(CACHED)
        os.chmod(place / "cached", 0o755)
        log = place / "cache" / "log"

        def misses():
            return len(log.read_text().splitlines())

        def output(name):
            return int(subprocess.run([place / name / "out" / "program"], check=True, capture_output=True).stdout)
        first = place / "first"
        first.mkdir()
        self.generate(first)
        self.make(first)
        expected = 1 + sum(range(MODULES))
        self.assertEqual(output("first"), expected)
        self.assertEqual(misses(), MODULES + 1)
        self.assertIn("Nothing to be done", self.make(first))
        # What depends on a header is built again; all else is found to be up to date.
        (first / "src" / "part5" / "m5.c").write_text('#include "m5.h"\nint f5(int value) { return value; }\n')
        self.assertEqual(self.make(first).count("../cached"), 1)
        self.assertEqual(output("first"), expected - sum(range(6)))
        (first / "src" / "part3" / "m3.h").write_text("int f3(int value); /* the same */\n")
        self.assertEqual(self.make(first).count("../cached"), 2)
        # A copy is built from the cache.
        subprocess.run(["cp", "-a", first, place / "second"], check=True)
        self.assertIn("Nothing to be done", self.make(place / "second"))
        # A move is not a change.
        os.rename(first, place / "third")
        self.assertIn("Nothing to be done", self.make(place / "third"))
        before = misses()
        self.make(place / "second", "clean")
        self.make(place / "second")
        self.assertEqual(misses(), before)
        self.assertEqual(output("second"), output("third"))
        subprocess.run(["diff", "-r", place / "second", place / "third"], check=True)
        self.unmount(place)
        place = self.mount(image=self.image)
        self.assertIn("Nothing to be done", self.make(place / "second"))
        self.assertEqual(output("third"), output("second"))
        self.unmount(place)

    def test_our_own_c_files(self):
        place = self.mount_new("512M")
        sources = [harness.ROOT / "Benchmarks" / "bench9p.c", harness.ROOT / "Tests" / "EndToEndTests" / "faulty_disk.c"]
        for source in sources:
            shutil.copy(source, place)
            subprocess.run(["cc", "-O1", "-pthread", "-c", source.name], cwd=place, check=True)
            # The compiler does not know where it is.
            here = self.folder / "here"
            here.mkdir(exist_ok=True)
            shutil.copy(source, here)
            subprocess.run(["cc", "-O1", "-pthread", "-c", source.name], cwd=here, check=True)
            name = source.with_suffix(".o").name
            self.assertEqual((place / name).read_bytes(), (here / name).read_bytes())
        self.unmount(place)


class BuildsOnPosix(Builds):
    """The same on a volume with the feature posix, where the cache's objects are linked into the tree."""

    features = ("--features", "posix")

    @unittest.skipUnless(os.environ.get("GEFS_BUILD_PACKAGE"), "takes long: wants GEFS_BUILD_PACKAGE=1")
    def test_this_package(self):
        place = self.mount_new("6G")
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=harness.ROOT, check=True, stdout=subprocess.PIPE)
        for name in listed.stdout.decode().split("\0"):
            if name and (harness.ROOT / name).is_file():
                target = place / "package" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(harness.ROOT / name, target)
        kept = harness.ROOT / ".build"
        for name in ("checkouts", "repositories", "workspace-state.json"):
            # What was fetched already.
            if (kept / name).exists():
                (place / "package" / ".build").mkdir(exist_ok=True)
                subprocess.run(["cp", "-a", kept / name, place / "package" / ".build"], check=True)
        command = ["swift", "build", "--product", "gefs"]
        result = subprocess.run(command, cwd=place / "package", capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout[-5000:] + result.stderr[-5000:])
        built = place / "package" / ".build" / "debug" / "gefs"
        subprocess.run([built, "ream", place / "inner.img", "--size", "256M"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([built, "check", "--strict", place / "inner.img"], check=True, stdout=subprocess.DEVNULL)
        self.unmount(place)


if __name__ == "__main__":
    unittest.main()
