#!/usr/bin/env python3
"""tests/deploy/dashboard_queries.py, which ends the container demo, fails where a query has no data and where one stands still that must not. The Prometheus
is a small HTTP server here."""

import http.server
import json
import pathlib
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import queries  # noqa: E402

SCRIPT = HERE.parent / "deploy" / "dashboard_queries.py"


def ask(answer):
    """(exit code, what it printed) of the script, where `answer` makes an expression's numbers."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            expression = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["query"][0]
            numbers = answer(expression)
            series = [{"metric": {}, "values": [[i, str(n)] for i, n in enumerate(numbers)]}] if numbers else []
            body = json.dumps({"status": "success", "data": {"result": series}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        done = subprocess.run([sys.executable, SCRIPT, f"http://127.0.0.1:{server.server_address[1]}", str(int(time.time()) - 60)], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class DashboardQueries(unittest.TestCase):
    def test_a_job_that_was_seen(self):
        code, said = ask(lambda expression: [1, 2])
        self.assertEqual(code, 0, said)
        self.assertIn(f"{len(list(queries.of_dashboards()))} queries change", said)

    def test_one_without_data(self):
        code, said = ask(lambda expression: [] if "tributary_train_loss" in expression else [1, 2])
        self.assertEqual(code, 1, said)
        self.assertRegex(said, "no data: federation, Loss A: ")
        code, said = ask(lambda expression: ["NaN", "NaN"] if "tributary_train_loss" in expression else [1, 2])
        self.assertEqual(code, 1, said)

    def test_one_that_stands_still_and_must_not(self):
        code, said = ask(lambda expression: [1, 1] if "tributary_blob_store_transfer_bytes_total" in expression else [1, 2])
        self.assertEqual(code, 1, said)
        self.assertRegex(said, "never changes: federation, Bytes through the blob-stores A: ")

    def test_nothing_changes_at_all(self):
        code, said = ask(lambda expression: [1, 1])
        self.assertEqual(code, 1, said)
        self.assertIn("0 queries change", said)

    def test_what_stands_still_by_nature_may(self):
        code, said = ask(lambda expression: [1, 2] if queries.must_change(expression) else [0, 0])
        self.assertEqual(code, 0, said)


    def test_what_is_excused_is_some_of_what_the_live_test_demands(self):
        sys.path.insert(0, str(SCRIPT.parent))
        import dashboard_queries
        demanded = [expression for _, _, _, expression in queries.of_dashboards() if queries.must_change(expression)]
        excused = [expression for expression in demanded if not queries.must_change(expression, dashboard_queries.EXCUSED)]
        for name in dashboard_queries.EXCUSED:
            self.assertTrue(any(name in queries.names(expression) for expression in excused), name)
        self.assertLess(len(excused), len(demanded) / 6)


class MustChange(unittest.TestCase):
    def test_most_must(self):
        found = [expression for _, _, _, expression in queries.of_dashboards()]
        self.assertGreater(sum(map(queries.must_change, found)), len(found) / 2)

    def test_what_is_excused_is_asked_for(self):
        asked = set().union(*(queries.names(expression) for _, _, _, expression in queries.of_dashboards()))
        self.assertEqual((set(queries.BY_NATURE) | set(queries.WHEN_ALL_IS_WELL)) - asked, set(), "excuses of queries that are no more")


if __name__ == "__main__":
    unittest.main(verbosity=2)
