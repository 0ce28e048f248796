#!/usr/bin/env python3
"""promtool on the configuration and the rules, and what promtool does not ask: every alert is tested both ways and says what to do.

Exit 77 where there is no promtool (Debian: prometheus).
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import lint_rules  # noqa: E402
import queries  # noqa: E402

MONITORING = HERE.parent.parent / "monitoring"


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, cwd=HERE)
    return done.returncode, done.stdout + done.stderr


def alerts():
    """(name, the text of its rule)."""
    text = (MONITORING / "rules" / "alerts.yml").read_text()
    return [(part.split("\n", 1)[0].strip(), part) for part in re.split(r"      - alert: ", text)[1:]]


class Promtool(unittest.TestCase):
    def expect_success(self, *arguments):
        code, said = promtool(*arguments)
        self.assertEqual(code, 0, said)

    def test_the_configuration_is_valid(self):
        self.expect_success("check", "config", MONITORING / "prometheus.yml")

    def test_the_rules_are_valid(self):
        self.expect_success("check", "rules", "--lint=all", "--lint-fatal", *sorted((MONITORING / "rules").glob("*.yml")))

    def test_every_alert_fires_when_it_must_and_else_not(self):
        self.expect_success("test", "rules", "alerts.test.yml")

    def test_a_rule_that_is_wrong_fails_its_test(self):
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            shutil.copytree(MONITORING / "rules", root / "monitoring" / "rules")
            shutil.copytree(HERE, root / "tests" / "monitoring")
            path = root / "monitoring" / "rules" / "alerts.yml"
            text = path.read_text()
            for before, after in (("> 0.95", "> 2"), ("> 64 * 1024 * 1024", "> 1"), ("> 0.85", "> 0.2")):
                with self.subTest(after):
                    path.write_text(text.replace(before, after))
                    done = subprocess.run(["promtool", "test", "rules", "alerts.test.yml"], capture_output=True, cwd=root / "tests" / "monitoring")
                    self.assertNotEqual(done.returncode, 0)

    def test_prometheus_understands_every_query_of_the_dashboards(self):
        """As the expression of a recording rule, each: names of functions, types, and how vectors match."""
        rules = ["groups:", "  - name: panels", "    rules:"]
        for path in sorted((MONITORING / "grafana" / "dashboards").glob("*.json")):
            for panel in lint_rules.panels(json.loads(path.read_text())):
                for target in panel["targets"]:
                    expression = queries.resolve(target["expr"], 1)
                    rules += [f"      - record: panel_{panel['id']}_{target['refId']}", f"        expr: {json.dumps(expression)}"]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            file.write("\n".join(rules) + "\n")
            file.flush()
            self.expect_success("check", "rules", "--lint=none", file.name)


class Alerts(unittest.TestCase):
    def test_each_has_a_test_that_fires_it_and_one_that_does_not(self):
        tests = (HERE / "alerts.test.yml").read_text()
        for name, _ in alerts():
            with self.subTest(name):
                self.assertEqual(len(re.findall(rf"- name: {name} fires\n", tests)), 1)
                self.assertEqual(len(re.findall(rf'- name: "{name} is silent: ', tests)), 1)

    def test_each_says_what_why_and_what_to_do(self):
        dashboards = {json.loads(path.read_text())["uid"] for path in (MONITORING / "grafana" / "dashboards").glob("*.json")}
        for name, rule in alerts():
            with self.subTest(name):
                said = dict(re.findall(r"^          (\w+): \"?(.*?)\"?$", rule, re.MULTILINE))
                self.assertIn(said.get("severity"), ("warning", "critical"))
                for key in ("summary", "description", "runbook"):
                    self.assertGreater(len(said.get(key, "")), 30, key)
                self.assertRegex(said["runbook"], r"^1\. .* 2\. ")
                self.assertIn(said.get("dashboard"), dashboards)

    def test_what_fires_is_drawn_on_the_dashboard_that_is_linked(self):
        recorded = dict(re.findall(r"- record: (\S+)\n\s+expr: (.*(?:\n {10,}.*)*)", (MONITORING / "rules" / "recording.yml").read_text()))
        not_drawn = {"tributary_build_info": "says which services are meant", "up": "of whom is down nothing can be drawn"}

        def metrics(expression):
            for selector in lint_rules.promql.selectors(expression):
                yield from metrics(recorded[selector.name].removeprefix("|").strip()) if selector.name in recorded else [selector.name]
        drawn = {}
        for path in (MONITORING / "grafana" / "dashboards").glob("*.json"):
            board = json.loads(path.read_text())
            drawn[board["uid"]] = {name for panel in lint_rules.panels(board) for target in panel["targets"] for name in metrics(target["expr"])}
        for name, rule in alerts():
            expression = re.search(r"expr: \|?\s*(.*?)\n        (?:for|labels|keep_firing_for):", rule, re.DOTALL).group(1)
            for metric in set(metrics(expression)) - set(not_drawn):
                with self.subTest(f"{name}: {metric}"):
                    self.assertIn(metric, drawn[re.search("^          dashboard: (.*)", rule, re.MULTILINE).group(1)])

    def test_the_panels_that_runbooks_name_are_there(self):
        titles = {panel["title"] for path in (MONITORING / "grafana" / "dashboards").glob("*.json") for panel in lint_rules.panels(json.loads(path.read_text()))}
        for name, rule in alerts():
            for panel in re.findall(r"[' ]'([A-Z][^']+)'", rule):
                with self.subTest(f"{name}: {panel}"):
                    self.assertIn(panel, titles)


class Documentation(unittest.TestCase):
    def setUp(self):
        self.text = (MONITORING.parent / "docs" / "monitoring.md").read_text()

    def test_every_alert_stands_there_with_its_severity(self):
        for name, rule in alerts():
            self.assertIn(f"| {name} | {re.search('severity: (.*)', rule).group(1)} |", self.text)
        self.assertEqual(len(re.findall(r"^\| Tributary", self.text, re.MULTILINE)), len(alerts()))

    def test_every_metric_that_is_asked_for_stands_there(self):
        asked = set()
        for path in (MONITORING / "grafana" / "dashboards").glob("*.json"):
            for panel in lint_rules.panels(json.loads(path.read_text())):
                asked |= {selector.name for target in panel["targets"] for selector in lint_rules.promql.selectors(target["expr"])}
        for path in (MONITORING / "rules").glob("*.yml"):
            asked |= set(re.findall(r"\b(?<!:)(?:tributary|process)_[a-z_]+\b(?!:)", re.sub(r"record: .*", "", path.read_text())))
        for name in sorted(asked):
            with self.subTest(name):
                self.assertRegex(self.text, rf"`{re.sub('_(bucket|sum|count)$', '', name)}[`{{]")


class Provisioning(unittest.TestCase):
    """Grafana is not at hand here; what its files must say is."""

    def test_the_datasource_is_fixed_and_knows_how_often_is_scraped(self):
        text = (MONITORING / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
        for line in ("apiVersion: 1", "uid: tributary-prometheus", "type: prometheus", "isDefault: true", "editable: false", "httpMethod: POST"):
            self.assertIn(line, text)
        scraped = re.search(r"scrape_interval: (\w+)", (MONITORING / "prometheus.yml").read_text()).group(1)
        self.assertIn(f"timeInterval: {scraped} ", text)

    def test_the_dashboards_are_provided_as_code(self):
        text = (MONITORING / "grafana" / "provisioning" / "dashboards" / "tributary.yml").read_text()
        for line in ("apiVersion: 1", "type: file", "disableDeletion: true", "allowUiUpdates: false", "updateIntervalSeconds:", "path: /"):
            self.assertIn(line, text)


if __name__ == "__main__":
    if not shutil.which("promtool"):
        print("skipped: there is no promtool here (Debian: apt-get install prometheus)")
        sys.exit(77)
    unittest.main(verbosity=2)
