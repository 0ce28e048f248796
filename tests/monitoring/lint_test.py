#!/usr/bin/env python3
"""The dashboards keep to every rule of lint_rules.py, they are what their source generates, and each rule can fail."""

import copy
import json
import pathlib
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import lint_rules  # noqa: E402
import promql  # noqa: E402

MONITORING = HERE.parent.parent / "monitoring"
FILES = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


class Dashboards(unittest.TestCase):
    def test_there_are_two(self):
        self.assertEqual([path.name for path in FILES], ["federation.json", "memory.json"])

    def test_they_are_what_their_source_generates(self):
        done = subprocess.run([sys.executable, MONITORING / "generate", "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_they_keep_to_every_rule(self):
        for path in FILES:
            with self.subTest(path.name):
                self.assertEqual(lint_rules.check(load(path)), [])

    def test_they_have_uids_and_titles_of_their_own(self):
        for key in ("uid", "title"):
            self.assertEqual(len({load(path)[key] for path in FILES}), len(FILES))


class Rules(unittest.TestCase):
    """Each rule fails for what it is there for: one change to a good dashboard, one complaint."""

    def expect(self, rule, change):
        dashboard = copy.deepcopy(load(FILES[0]))
        panel = next(p for p in dashboard["panels"] if p["type"] == "timeseries" and "rate(" in p["targets"][0]["expr"])
        change(dashboard, panel, panel["targets"][0])
        self.assertIn(rule, {name for name, _ in lint_rules.check(dashboard)})

    def variable(self, dashboard, name):
        return next(v for v in dashboard["templating"]["list"] if v["name"] == name)

    def test_the_17_rules_of_grafana_are_there(self):
        names = {name for kind in lint_rules.RULES.values() for name in kind if not name.startswith("tributary-")}
        self.assertEqual(len(names), 17)

    def test_each_can_fail(self):
        cases = {
            "template-datasource": lambda d, p, t: self.variable(d, "datasource").update(label="Source"),
            "template-job": lambda d, p, t: self.variable(d, "job").update(multi=False),
            "template-instance": lambda d, p, t: self.variable(d, "instance").update(allValue=".*"),
            "template-label-promql": lambda d, p, t: self.variable(d, "job").update(query="values(x, job)"),
            "template-on-time-change-reload": lambda d, p, t: self.variable(d, "job").update(refresh=1),
            "uneditable-dashboard": lambda d, p, t: d.update(editable=True),
            "panel-datasource": lambda d, p, t: p.update(datasource={"type": "prometheus", "uid": "mine"}),
            "panel-title-description": lambda d, p, t: p.update(description=""),
            "panel-units": lambda d, p, t: p["fieldConfig"]["defaults"].update(unit="MB"),
            "panel-no-targets": lambda d, p, t: p.update(targets=[]),
            "target-promql": lambda d, p, t: t.update(expr="sum(x{"),
            "target-logql": lambda d, p, t: t.update(datasource={"type": "loki", "uid": "${datasource}"}),
            "target-logql-auto": lambda d, p, t: t.update(expr='rate(x{job=~"$job", instance=~"$instance"}[$__auto])'),
            "target-rate-interval": lambda d, p, t: t.update(expr=t["expr"].replace("$__rate_interval", "5m")),
            "target-job": lambda d, p, t: t.update(expr=t["expr"].replace('job=~"$job"', 'job="x"')),
            "target-instance": lambda d, p, t: t.update(expr=t["expr"].replace(', instance=~"$instance"', "")),
            "target-counter-agg": lambda d, p, t: t.update(expr='sum(x_total{job=~"$job", instance=~"$instance"})'),
            "tributary-frame": lambda d, p, t: d.update(__inputs=[]),
            "tributary-layout": lambda d, p, t: p["gridPos"].update(y=0),
            "tributary-thresholds": lambda d, p, t: p["fieldConfig"]["defaults"]["thresholds"].update(steps=[]),
            "tributary-targets": lambda d, p, t: t.update(expr=t["expr"] + " or vector(0)"),
        }
        self.assertEqual(set(cases), {name for kind in lint_rules.RULES.values() for name in kind})
        for rule, change in cases.items():
            with self.subTest(rule):
                self.expect(rule, change)


class PromQL(unittest.TestCase):
    def test_selectors_are_found_with_what_is_around_them(self):
        found = promql.selectors('sum by (job) (rate(a_total{job=~"$job", x!="y}"}[$__rate_interval])) / on (job) group_left (s) max(b) > bool 0 unless c{}')
        self.assertEqual([(s.name, s.range, s.function) for s in found], [("a_total", "$__rate_interval", "rate"), ("b", "", "max"), ("c", "", "")])
        self.assertEqual(found[0].matchers, [("job", "=~", "$job"), ("x", "!=", "y}")])

    def test_what_is_broken_is_said(self):
        for text in ("sum(x", "x)", "", "x{a=\"b}", "rate(x[5m)"):
            with self.subTest(text), self.assertRaises(ValueError):
                promql.selectors(text)


if __name__ == "__main__":
    unittest.main()
