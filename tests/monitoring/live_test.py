#!/usr/bin/env python3
"""Every query of both dashboards against a real Prometheus that scrapes real services during a real job.

    live_test.py BINARIES [REPORT.json]       exit 77: no Prometheus here (Debian: prometheus)
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import federation  # noqa: E402
import lint_rules  # noqa: E402
import queries  # noqa: E402

MONITORING = HERE.parent.parent / "monitoring"

TEXT_JOB = """
name: words
rounds: 4
tasks: [train, validate]
participants: {min: 3, quorum: 3, round_deadline: 5m, seed: 1}
model: {family: gpt2, layers: 2, heads: 2, hidden: 64, positions: 32, tokenizer: bytes, seed: 1}
data: {name: words, format: text, validation_fraction: 0.1, partition: {scheme: by-file, count: 3, seed: 1}}
train: {mode: step, steps: 60, batch_size: 8, max_length: 32, learning_rate: 3e-3}
strategy: {name: fedavg, weights: samples}
transfer: {mode: stream, chunk_bytes: 64KiB, encoding: bf16}
"""
# Bytes for long enough to be seen under way; where there is no libtorch, all there is.
SYNTHETIC_JOB = """
name: bytes
rounds: 5
tasks: [train]
participants: {min: 3, quorum: 3, round_deadline: 5m, seed: 1}
model: {family: synthetic, bytes: 96MiB, tensors: 8, dtype: f32, fill: random, seed: 1}
data: {name: words, format: synthetic, partition: {count: 3}}
strategy: {name: fedavg, weights: equal}
transfer: {mode: stream, chunk_bytes: 1MiB, encoding: bf16}
"""
ONLY_TRAINING_TELLS = ("tributary_train_loss", "tributary_validation_loss", "tributary_validation_accuracy_ratio",
                        "tributary_trained_tokens_total")
ONLY_LIMITS_TELL = ("tributary_memory_cgroup_limit_bytes",)
RECORDED_FROM_LIMITS = {"instance:tributary_memory_limit_used:ratio": "tributary_memory_cgroup_limit_bytes"}


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="tributary-monitoring-")
        cls.world = federation.Federation(BINARIES, MONITORING, cls.directory.name)
        cls.addClassCleanup(cls.directory.cleanup)
        cls.addClassCleanup(cls.world.end)
        cls.trains = (BINARIES.parent / "lib" / "libtributary-train.so").exists()
        cls.world.begin()
        cls.world.begin_prometheus()
        cls.begun = time.time()
        cls.world.submit(TEXT_JOB if cls.trains else SYNTHETIC_JOB.replace("name: bytes\n", "name: more-bytes\n"))
        cls.world.submit(SYNTHETIC_JOB)  # it waits for the trainers of the first
        cls.world.add_missing_trainer()
        cls.world.wait_for_jobs(2)
        time.sleep(3)  # the last scrapes, and the rates over them
        cls.ended = time.time()

    def untold(self, expression):
        """Why this machine cannot show it, or nothing."""
        if not self.trains and any(name in expression for name in ONLY_TRAINING_TELLS):
            return "no libtorch here"
        if not self.world.limited and any(name in expression for name in ONLY_LIMITS_TELL):
            return "no control groups with limits here"
        return ""

    def test_every_query_has_data_and_what_can_change_changes(self):
        report, skipped = [], 0
        for dashboard, panel, letter, expression in queries.of_dashboards():
            with self.subTest(f"{dashboard}: {panel} {letter}"):
                if why := self.untold(expression):
                    skipped += 1
                    print(f"skipped: {dashboard}, {panel} {letter}: {why}")
                    continue
                series = self.world.query_range(queries.resolve(expression, federation.SCRAPE_SECONDS), self.begun, self.ended)
                values = queries.values(series)
                changes = queries.changes(expression, values)
                report.append({"dashboard": dashboard, "panel": panel, "query": letter, "series": len(series), "points": sum(map(len, values)), "changes": changes,
                               "must_change": queries.must_change(expression)})
                self.assertTrue(any(values), f"no data: {expression}")
                if queries.must_change(expression):
                    self.assertTrue(changes, f"it never changes: {expression}")
        print(f"{len(report)} queries, {sum(r['series'] for r in report)} series, {sum(r['points'] for r in report)} points over "
              f"{self.ended - self.begun:.0f} s; {sum(r['changes'] for r in report)} change, {sum(r['must_change'] for r in report)} of them must; {skipped} skipped")
        if REPORT:
            REPORT.write_text(json.dumps(report, indent=1))

    def test_variables_are_chained(self):
        jobs = self.world.ask("label/job/values", **{"match[]": "tributary_memory_budget_bytes"})
        self.assertEqual(jobs, ["aggregator", "blob-store", "coordinator", "trainer"])
        for job in jobs:
            instances = self.world.ask("label/instance/values", **{"match[]": f'tributary_memory_budget_bytes{{job=~"{job}"}}'})
            self.assertEqual(len(instances), 3 if job == "trainer" else 1)

    def test_a_trainer_is_scraped_or_relayed_never_both(self):
        found = self.world.query("count by (site, trainer) (tributary_trainer_info)")
        self.assertEqual(sorted((s["metric"]["site"], s["value"][1]) for s in found), [("north", "1"), ("south", "1"), ("west", "1")])
        relayed = self.world.query('tributary_memory_rss_peak_bytes{trainer!=""}')
        self.assertEqual([(s["metric"]["job"], s["metric"]["instance"]) for s in relayed], [("trainer", "west/trainer-0")])
        self.assertEqual(len(self.world.query('process_resident_memory_bytes{job="coordinator"}')), 1, "the coordinator's own, and nobody's else")
        phases = self.world.query('tributary_memory_phase_peak_bytes{instance="west/trainer-0"}')
        self.assertIn("train", {s["metric"]["phase"] for s in phases})

    def test_no_alert_fires_while_all_is_well(self):
        fired = self.world.query_range('ALERTS{alertstate="firing"}', self.begun, self.ended)
        self.assertEqual([s["metric"]["alertname"] for s in fired], [])
        rules = self.world.ask("rules")
        for group in rules["groups"]:
            for rule in group["rules"]:
                self.assertEqual(rule["health"], "ok", rule)

    def test_servers_keep_to_their_budgets(self):
        over = self.world.query("instance:tributary_memory_peak_over_budget:bytes")
        self.assertEqual(len(over), 3)
        for server in over:
            self.assertLess(float(server["value"][1]), 64 * 1024 * 1024, server)

    def test_what_rules_ask_for_is_there(self):
        for group in self.world.ask("rules")["groups"]:
            for rule in group["rules"]:
                for selector in lint_rules.promql.selectors(rule["query"]):
                    if self.untold(rule["query"]) or (selector.name.startswith("instance:") and self.untold(RECORDED_FROM_LIMITS.get(selector.name, ""))):
                        continue
                    with self.subTest(f"{rule['name']}: {selector.name}"):
                        self.assertTrue(self.world.query_range(selector.name, self.begun, self.ended))

    def test_what_is_served_is_documented(self):
        text = (MONITORING.parent / "docs" / "monitoring.md").read_text()
        for name, address in self.world.metrics.items():
            for family in re.findall(r"^# TYPE (\S+) ", federation.get(f"http://{address}/metrics"), re.MULTILINE):
                with self.subTest(f"{name}: {family}"):
                    self.assertRegex(text, rf"`{family}[`{{]")

    def test_what_services_serve_passes_promtools_lint(self):
        for name, address in self.world.metrics.items():
            with self.subTest(name):
                text = federation.get(f"http://{address}/metrics")
                done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))


if __name__ == "__main__":
    BINARIES = pathlib.Path(sys.argv[1]).absolute()
    REPORT = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        print("skipped: there is no Prometheus here (Debian: apt-get install prometheus)")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
