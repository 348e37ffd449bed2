"""`gefs crashlab`: which crashes lose data of a command that syncs, and of one that forgets to."""
import json
import pathlib
import shlex
import sys

import harness

HERE = pathlib.Path(__file__).resolve().parent

# Writes files one after the other and says of each that it is committed; syncs or only says so.
COMMAND = """
import os, sys
sys.path.insert(0, %r)
import ninep
with ninep.Connection("unix!" + os.environ["GEFS_SOCKET"]) as connection:
    root = connection.attach("glenda", os.environ["GEFS_ATTACH"])
    for index in range(4):
        root.put("file%%d" %% index, b"%%d" %% index * 50000)
        if sys.argv[1] == "sync":
            root.sync()
        print("committed %%d" %% index, flush=True)
""" % str(HERE)

# All that was said to be committed before the cut is there.
SCRIPT = """
while read word index; do
    %s cat /file$index | python3 -c "import sys; sys.exit(sys.stdin.read() != '$index' * 50000)" || {
        echo "file$index is lost"
        exit 1
    }
done < "$GEFS_CRASH_OUTPUT"
""" % shlex.quote(harness.BINARY)


class CrashLab(harness.TemporaryFolder):
    def crashlab(self, image, way, status, *options):
        output = harness.run_text("crashlab", image, "--json", "--verify", SCRIPT, *options, "--", sys.executable, "-c",
                                  COMMAND, way, status=status)
        return json.loads(output)

    def test_a_command_that_syncs_loses_nothing(self):
        image = self.ream()
        before = image.read_bytes()
        report = self.crashlab(image, "sync", 0, "--states", "60", "--seed", "1")
        self.assertEqual((report["failed"], report["tried"]), (0, 60))
        self.assertGreaterEqual(report["flushes"], 8)
        self.assertTrue(image.read_bytes() == before)

    def test_a_command_that_forgets_to_sync_is_found_out(self):
        image = self.ream()
        report = self.crashlab(image, "forget", 3, "--states", "40", "--seed", "1")
        self.assertGreater(report["failed"], 0)
        failure = report["failures"][0]
        self.assertIn("is lost", failure["message"])
        self.assertIn("--state " + failure["state"], failure["replay"])
        again = self.crashlab(image, "forget", None, "--seed", "1", "--state", report["failures"][-1]["state"])
        self.assertEqual(again["tried"], 1)

    def test_refusals(self):
        image = self.ream()
        harness.run("crashlab", image, "--verify", "true", status=2)
        harness.run("crashlab", image, "--", "true", status=2)
        harness.run("crashlab", image, "--verify", "true", "--", "false", status=1)
        harness.run("crashlab", image, "--verify", "true", "--", "/no/such/command", status=1)
        harness.run("crashlab", image, "--verify", "true", "--branch", "absent", "--", "true", status=1)
        text = harness.run_text("crashlab", image, "--states", "3", "--verify", "true", "--", "true")
        self.assertIn("0 lose data", text)
