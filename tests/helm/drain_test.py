#!/usr/bin/env python3
"""The trainers' preStop hook: waits while a task runs, and for nobody who does not tell. In bash, against a server of metrics; then against a trainer that relays.

Words: the folder of the binaries. Without it that trainer is left out.
"""
import http.server
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

BINARIES = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else pathlib.Path("/nonexistent")
SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "helm/tributary/files/scripts/drain.sh"
IDLE = 'tributary_tasks_running{kind="train"} 0\ntributary_tasks_running{kind="validate"} 0\n'
BUSY = 'tributary_tasks_running{kind="train"} 1\ntributary_tasks_running{kind="validate"} 0\n'


class Metrics:
    """Answers /metrics with each of `bodies` in turn, the last one from then on."""

    def __init__(self, *bodies):
        self.bodies = list(bodies)
        self.asked = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = outer.bodies[min(outer.asked, len(outer.bodies) - 1)].encode()
                outer.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def drain(port, seconds):
    return subprocess.run(["/bin/bash", "-c", SCRIPT.read_text(), "drain", str(port), str(seconds)], timeout=60, check=False, stderr=subprocess.DEVNULL).returncode


class Drain(unittest.TestCase):
    def test_an_idle_trainer_goes_at_once(self):
        with Metrics(IDLE) as metrics:
            self.assertEqual(drain(metrics.port, 50), 0)
            self.assertEqual(metrics.asked, 1)

    def test_a_task_is_waited_for(self):
        with Metrics(BUSY, BUSY, IDLE) as metrics:
            self.assertEqual(drain(metrics.port, 50), 0)
            self.assertEqual(metrics.asked, 3)

    def test_not_for_ever(self):
        with Metrics(BUSY) as metrics:
            begin = time.monotonic()
            self.assertEqual(drain(metrics.port, 2), 0)
            self.assertGreaterEqual(time.monotonic() - begin, 1)

    def test_nobody_is_there(self):
        with Metrics(IDLE) as metrics:
            port = metrics.port
        self.assertEqual(drain(port, 50), 0)

    def test_a_trainer_that_does_not_tell(self):
        with Metrics("process_cpu_seconds_total 1\n") as metrics:
            self.assertEqual(drain(metrics.port, 50), 0)


JOB = """
name: waits
rounds: 1
tasks: [train]
participants: {min: 1, quorum: 1, round_deadline: 5m, seed: 1}
model: {family: synthetic, bytes: 128MiB, tensors: 1, dtype: f32, fill: random, seed: 1}
data: {name: words, format: synthetic, partition: {count: 1}}
strategy: {name: fedavg, weights: equal}
transfer: {mode: stream, chunk_bytes: 64KiB}
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@unittest.skipUnless((BINARIES / "tributary-trainer").exists(), f"no tributary-trainer in {BINARIES}")
class Relayed(unittest.TestCase):
    """As mode trainer-site starts it: what it measures rides on its heartbeats, and the hook must wait for its task all the same."""

    def start(self, service, *words):
        with open(self.root / f"{service}.log", "w") as log:
            process = subprocess.Popen([BINARIES / f"tributary-{service}", *words], stdout=log, stderr=log)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.terminate)
        return process

    def told(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5) as answer:
                return answer.read().decode()
        except OSError as error:
            return str(error)

    def wait_for(self, text):
        end = time.monotonic() + 60
        while text not in self.told():
            self.assertLess(time.monotonic(), end, f"{text!r} is not in: {self.told()}" + "".join(path.read_text()[-800:] for path in self.root.glob("*.log")))
            time.sleep(0.05)

    def test_a_task_of_a_trainer_that_relays_is_waited_for(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        control, store, self.metrics = free_ports(3)
        control = f"tcp://127.0.0.1:{control}"
        store = f"tcp://127.0.0.1:{store}"
        self.start("coordinator", "--listen", control, "--state-dir", self.root / "state", "--blob-store", store, "--metrics-address", "off")
        blobs = self.start("blob-store", "--listen", store, "--data-dir", self.root / "blobs", "--memory-budget", "16MiB", "--metrics-address", "off")
        self.start("aggregator", "--coordinator", control, "--memory-budget", "16MiB", "--metrics-address", "off")
        self.start("trainer", "--coordinator", control, "--site", "north", "--instance", "trainer-0", "--ordinal", "0", "--memory-budget", "16MiB",
                   "--metrics-address", f"127.0.0.1:{self.metrics}", "--relay-metrics")
        self.wait_for('tributary_tasks_running{kind="train"} 0')
        self.assertNotIn("process_", self.told(), "what is relayed is not told here, too")
        self.assertEqual(drain(self.metrics, 50), 0)

        (self.root / "job.yaml").write_text(JOB)
        subprocess.run([BINARIES / "tributary", "submit", self.root / "job.yaml", "--coordinator", control], check=True, timeout=60, stdout=subprocess.DEVNULL)
        self.wait_for('tributary_tasks_running{kind="train"} 1')
        blobs.send_signal(signal.SIGSTOP)  # whom the task waits for, for as long as it is let
        self.addCleanup(blobs.send_signal, signal.SIGCONT)
        self.assertIn('tributary_tasks_running{kind="train"} 1', self.told())
        hook = threading.Thread(target=drain, args=(self.metrics, 50))
        hook.start()
        hook.join(3)
        self.assertTrue(hook.is_alive(), "the hook did not wait for the task")
        blobs.send_signal(signal.SIGCONT)
        hook.join(45)
        self.assertFalse(hook.is_alive(), "the hook waits on: " + self.told())


if __name__ == "__main__":
    unittest.main()
