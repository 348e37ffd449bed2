"""Every disk that the original wrote opens, reads over 9P as its manifest says, and checks as the oracle says."""
import json
import unittest

import harness
import ninep

FIELDS = ("mode", "size", "mtime", "uid", "gid", "muid", "qid_path", "qid_vers", "qid_type", "sha256")


@harness.needs_shared
class ReferenceImages(harness.TemporaryFolder):
    def test_trees_over_9p_equal_the_manifests(self):
        p9 = harness.load_p9()
        for name in harness.reference_images():
            with self.subTest(image=name):
                image, manifest = self.unpack(name)
                before = image.read_bytes()
                wanted = json.loads(manifest.read_text())["snapshots"]
                server = self.serve(image, "--read-only")
                client = p9.Client.dial(server.address)
                labels = [entry.name for entry in client.attach("adm", "dump").readdir()]
                self.assertEqual(sorted(labels), sorted(wanted))
                for label, tree in wanted.items():
                    self.compare(label, tree, p9.manifest(client.attach("adm", "%" + label)))
                client.close()
                self.assertEqual(server.stop(), 0, server.output())
                self.assertTrue(image.read_bytes() == before, "a read-only server changed the image")
                image.unlink()

    def compare(self, label, tree, found):
        self.assertEqual(len(found), tree["nentries"], label)
        for want, have in zip(tree["entries"], found):
            self.assertEqual(want["path"], have["path"], label)
            for field in FIELDS:
                if field in want:
                    self.assertEqual(want[field], have.get(field), "%s:%s %s" % (label, want["path"], field))

    def test_check_reports_what_the_oracle_reports(self):
        for name in harness.reference_images():
            with self.subTest(image=name):
                image, _ = self.unpack(name)
                status, output = harness.oracle("check", image)
                found = harness.run("check", image, "--json", status=None)
                self.assertEqual(found.returncode, 3 if status else 0, output + found.stdout.decode())
                image.unlink()

    def test_a_disk_goes_on_after_writing(self):
        for name in harness.reference_images():
            with self.subTest(image=name):
                image, _ = self.unpack(name)
                _, before = harness.oracle("check", image)
                server = self.serve(image)
                with server.connect() as connection:
                    root = connection.attach("adm", "%main")
                    root.make_directory("/made-by-us")
                    for number in range(200):
                        root.put("/made-by-us/file-%d" % number, b"%d" % number * 1000)
                    for number in range(0, 200, 2):
                        root.remove("/made-by-us/file-%d" % number)
                    root.sync()
                self.assertEqual(server.halt(), 0, server.output())
                status, after = harness.oracle("check", image)
                self.assertEqual(status, 0, "before: %s\nafter: %s" % (before, after))
                self.assertEqual(harness.run_text("cat", image, "/made-by-us/file-7"), "7" * 1000)
                image.unlink()

    def test_repair_gives_back_what_the_original_leaked(self):
        for name in harness.reference_images():
            with self.subTest(image=name):
                image, manifest = self.unpack(name)
                harness.run("check", "--repair", image)
                _, output = harness.oracle("check", image)
                self.assertIn("(0 leaked)", output)
                for complaint in ("nlbl is", "unreferenced", "error:"):
                    self.assertNotIn(complaint, output)
                status, output = harness.oracle("compare", image, manifest)
                self.assertEqual(status, 0, output)
                # A second one finds nothing.
                self.assertIn("nothing to repair", harness.run_text("check", "--repair", image))
                image.unlink()


if __name__ == "__main__":
    unittest.main()
