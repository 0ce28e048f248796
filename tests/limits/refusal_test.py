#!/usr/bin/env python3
"""Each service, in a control group with a small memory limit: a budget that does not fit is refused at start, with a line that says what to change; one that fits is not.

    refusal_test.py BINARIES       exit 77: no control group can be made here
"""

import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "monitoring"))
from federation import ControlGroup, free_port  # noqa: E402

BINARIES = pathlib.Path(sys.argv.pop(1))
LIMIT = 64 << 20
NOWHERE = "tcp://127.0.0.1:1"


class Refusal(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.group = ControlGroup("refusal", LIMIT)
        cls.addClassCleanup(cls.group.remove)
        if not cls.group.made():
            print("SKIPPED: this user may not make a control group with a memory limit here")
            sys.exit(77)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tributary-limits-")
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)

    def start(self, service, budget, group):
        listen = ["--listen", f"tcp://127.0.0.1:{free_port()}"]
        words = {
            "coordinator": [*listen, "--state-dir", self.work / "state", "--blob-store", NOWHERE],
            "blob-store": [*listen, "--data-dir", self.work / "blobs"],
            "aggregator": ["--coordinator", NOWHERE, "--instance", "a"],
            "trainer": ["--coordinator", NOWHERE, "--site", "s", "--instance", "t", "--work-dir", self.work / "work"],
        }[service]
        command = [BINARIES / f"tributary-{service}", *words, "--memory-budget", budget, "--metrics-address", "off"]
        self.log = self.work / f"{service}.log"
        with open(self.log, "wb") as log:
            process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=subprocess.STDOUT, preexec_fn=group.enter if group else None)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()

    def expect_begun(self, process):
        """It says that it serves or works, and ends when it is asked to."""
        end = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < end and not any(word in self.log.read_text() for word in ("serving", "works for")):
            time.sleep(0.05)
        self.assertIsNone(process.poll(), self.log.read_text())
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        self.assertRegex(self.log.read_text(), "serving|works for")

    def test_of_a_budget_above_the_limit(self):
        for service in ("coordinator", "blob-store", "aggregator", "trainer"):
            with self.subTest(service):
                process = self.start(service, "48MiB", self.group)
                try:
                    code = process.wait(30)
                except subprocess.TimeoutExpired:
                    self.fail("it went on")
                self.assertEqual(code, 2, self.log.read_text())
                self.assertEqual(self.log.read_text().splitlines()[-1],
                                 f"tributary-{service}: --memory-budget 48.0 MiB and 32.0 MiB for the service itself do not fit into the 64.0 MiB that this container may "
                                 "use: give it 80.0 MiB, or a smaller budget")
                self.assertEqual([path.name for path in self.work.iterdir() if path.suffix != ".log"], [], "it has begun to write")

    def test_is_of_the_limit_alone(self):
        for service in ("coordinator", "blob-store", "aggregator", "trainer"):
            for budget, group in (("32MiB", self.group), ("48MiB", None)):
                with self.subTest(f"{service} with {budget}"):
                    self.expect_begun(self.start(service, budget, group))


if __name__ == "__main__":
    unittest.main()
