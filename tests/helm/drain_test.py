#!/usr/bin/env python3
"""The trainers' preStop hook: waits while a task runs, and for nobody who does not tell. In bash, against a server of metrics."""
import http.server
import pathlib
import subprocess
import threading
import time
import unittest

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


if __name__ == "__main__":
    unittest.main()
