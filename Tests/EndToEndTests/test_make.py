"""What `make run` does, and that its three commands work as printed."""
import os
import signal
import socket
import subprocess
import unittest

import harness


class MakeRun(harness.TemporaryFolder):
    def test_the_three_commands_that_are_printed(self):
        image = self.folder / "gefs.img"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = dict(os.environ, BIN=harness.BINARY, IMAGE=str(image), SIZE="4G", PORT=str(port))
        environment.pop("GEFS_IMAGE", None)
        process = subprocess.Popen(["Packaging/run"], cwd=harness.ROOT, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        self.addCleanup(process.stdout.close)
        commands = []
        for line in process.stdout:
            if line.startswith("  "):
                commands.append(line.strip())
            if line.startswith("Ctrl-C"):
                break
        self.assertEqual(len(commands), 3, commands)
        outputs = [subprocess.run(command, shell=True, cwd=harness.ROOT, capture_output=True, check=True).stdout
                   for command in commands]
        self.assertIn(b"README.md", outputs[1])
        self.assertEqual(outputs[2], (harness.ROOT / "README.md").read_bytes())
        # As a terminal does it: to the whole group.
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(image.stat().st_size, 4 << 30)
        self.assert_clean(image)


if __name__ == "__main__":
    unittest.main()
