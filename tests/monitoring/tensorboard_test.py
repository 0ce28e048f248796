#!/usr/bin/env python3
"""TensorBoard's own reader over the events of a `tributary run`: each round once, with the numbers that summary.json has, after a kill as well.

    tensorboard_test.py BINARIES PACKAGES     PACKAGES: a folder that pip may put tensorboard into, where Python does not have it (PyPI has it, Debian does
                                              not). exit 77: it cannot be had
"""

import importlib
import json
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
# What its reader of events imports, and no more.
REQUIREMENTS = ("tensorboard==2.21.0", "protobuf==7.36.2", "numpy==2.4.6", "absl-py==2.5.1")

JOB = """
name: curves
rounds: {rounds}
tasks: [{tasks}]
participants: {{min: 2, quorum: 2, round_deadline: 5m, seed: 1}}
{model}
strategy: {{name: fedavg, weights: equal}}
transfer: {{mode: stream, chunk_bytes: 64KiB}}
"""
SYNTHETIC = """model: {family: synthetic, bytes: 16MiB, tensors: 4, dtype: f32, fill: random, seed: 1}
data: {name: none, format: synthetic, partition: {count: 2}}"""
TEXT = """model: {family: gpt2, layers: 1, heads: 2, hidden: 32, positions: 32, tokenizer: bytes, seed: 1}
data: {name: words, format: text, validation_fraction: 0.2, partition: {scheme: by-file, count: 2, seed: 1}}
train: {mode: step, steps: 4, batch_size: 4, max_length: 32, learning_rate: 1e-3}"""


def reader(packages):
    """TensorBoard's module that reads event files, or why there is none."""
    name = "tensorboard.backend.event_processing.event_accumulator"
    try:
        return importlib.import_module(name), None
    except ImportError:
        pass
    packages = pathlib.Path(packages)
    done = packages / "installed"
    if not done.exists() or done.read_text() != " ".join(REQUIREMENTS):
        shutil.rmtree(packages, ignore_errors=True)
        try:
            run = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--retries", "1", "--no-input", "--target", packages, *REQUIREMENTS],
                                 capture_output=True, text=True, timeout=240)
        except subprocess.TimeoutExpired:
            return None, "pip did not end within 240 s"
        if run.returncode != 0:
            return None, f"Python has no tensorboard, and pip cannot get it: {(run.stderr or run.stdout).strip()[-600:]}"
        done.write_text(" ".join(REQUIREMENTS))
    sys.path.insert(0, str(packages))
    try:
        return importlib.import_module(name), None
    except ImportError as error:
        return None, f"tensorboard was installed and cannot be imported: {error}"


def single(value):
    """As the event has it: 32 bits."""
    return struct.unpack("f", struct.pack("f", value))[0]


class Events(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tributary-tensorboard-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.work = self.root / "run"

    def words(self, job, *more):
        (self.root / "job.yaml").write_text(job)
        return [BINARIES / "tributary", "run", self.root / "job.yaml", "--work-dir", self.work, "--no-progress", *more]

    def run_job(self, words):
        done = subprocess.run(words, capture_output=True, text=True, timeout=200)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])

    def read(self):
        """Tag -> [(step, value)], as TensorBoard has it of the whole directory."""
        found = ACCUMULATOR.EventAccumulator(str(self.work / "events"), size_guidance={ACCUMULATOR.SCALARS: 0})
        found.Reload()
        self.times = {tag: [event.wall_time for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
        return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}

    def compare(self, rounds):
        summary = json.loads((self.work / "summary.json").read_text())
        self.assertEqual([each["round"] for each in summary["rounds"]], list(range(1, rounds + 1)))
        curves = self.read()
        named = {"train_loss": "loss/train", "val_loss": "loss/validation"}
        expected = {"seconds/round": [], "bytes/up": [], "bytes/down": []}
        for each in summary["rounds"]:
            for tag, key in (("seconds/round", "seconds"), ("bytes/up", "bytes_up"), ("bytes/down", "bytes_down")):
                expected[tag].append((each["round"], single(each[key])))
            for metric, value in each["metrics"].items():
                tag = named.get(metric)
                if tag is None:
                    kind = next((kind for kind in ("seconds_", "aggregator_bytes_") if metric.startswith(kind)), None)
                    tag = {"seconds_": "seconds/", "aggregator_bytes_": "bytes/aggregator_"}[kind] + metric.removeprefix(kind) if kind else "metrics/" + metric
                expected.setdefault(tag, []).append((each["round"], single(value)))
        for tag, points in expected.items():
            with self.subTest(tag):
                self.assertEqual([step for step, _ in curves.get(tag, [])], [step for step, _ in points])
                for (_, found), (_, value) in zip(curves[tag], points):
                    self.assertAlmostEqual(found, value, delta=1e-6 * max(1, abs(value)))
        for instance in ("coordinator", "blob-store", "aggregator-0", "trainer-0", "trainer-1"):
            points = curves[f"memory_peak_mib/{instance}"]
            self.assertEqual([step for step, _ in points], list(range(1, rounds + 1)))
            self.assertTrue(all(1 < value < 4096 for _, value in points), points)
        for tag, times in self.times.items():
            self.assertEqual(times, sorted(times), tag)
            self.assertLess(abs(times[-1] - time.time()), 600, "the events are of another day")
        return curves

    def test_each_round_is_a_point_of_each_curve(self):
        self.run_job(self.words(JOB.format(rounds=3, tasks="train", model=SYNTHETIC)))
        curves = self.compare(3)
        self.assertEqual([value for _, value in curves["bytes/up"]], [2 * 16 * 2**20] * 3)
        # One file, told as TensorBoard wants it to be.
        self.assertEqual(len(list((self.work / "events").glob("events.out.tfevents.*"))), 1)

    def test_losses(self):
        if not (BINARIES.parent / "lib" / "libtributary-train.so").exists():
            self.skipTest("no libtorch here")
        data = self.root / "words"
        data.mkdir()
        for i in range(2):
            (data / f"{i}.txt").write_text("\n\n".join(f"{i} the river runs to the sea and all the water of the hills comes down with it {k}" for k in range(40)))
        self.run_job(self.words(JOB.format(rounds=2, tasks="train, validate", model=TEXT), "--data", f"words={data}"))
        curves = self.compare(2)
        for tag in ("loss/train", "loss/validation"):
            self.assertTrue(all(1 < value < 10 for _, value in curves[tag]), curves[tag])

    def test_a_run_that_was_killed_tells_each_round_once(self):
        words = self.words(JOB.format(rounds=6, tasks="train", model=SYNTHETIC.replace("16MiB", "64MiB")))
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 120
            while not (self.work / "events").is_dir() or not 1 <= len(self.read().get("bytes/up", [])) < 6:
                self.assertIsNone(process.poll(), "the run was over before it could be killed")
                self.assertLess(time.monotonic(), end)
                time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        path = next((self.work / "events").glob("events.out.tfevents.*"))
        with open(path, "ab") as file:  # as a kill in the middle of a record leaves it
            file.write(struct.pack("<Q", 400) + b"half")
        self.run_job(words)
        self.compare(6)

    def test_the_reader_looks_at_checksums(self):
        self.run_job(self.words(JOB.format(rounds=2, tasks="train", model=SYNTHETIC.replace("16MiB", "1MiB"))))
        path = next((self.work / "events").glob("events.out.tfevents.*"))
        data = bytearray(path.read_bytes())
        data[-5] ^= 1  # the last byte of the last event, before its checksum
        path.write_bytes(data)
        self.assertEqual([step for step, _ in self.read()["bytes/up"]], [1], "what the other tests say would be worth nothing")


if __name__ == "__main__":
    BINARIES = pathlib.Path(sys.argv[1]).absolute()
    if not (BINARIES / "tributary").exists():
        print(f"skipped: {BINARIES} has no tributary")
        sys.exit(77)
    ACCUMULATOR, why = reader(sys.argv[2])
    if why:
        print(f"skipped: {why}")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
