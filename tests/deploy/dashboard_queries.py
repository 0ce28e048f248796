#!/usr/bin/env python3
"""Asks every query of the dashboards in monitoring/grafana/dashboards of a Prometheus that has watched a job, as Grafana would ask it.

    dashboard_queries.py URL BEGUN       the Prometheus, and the second since which it watches. Exit 1: a query without data
"""

import json
import pathlib
import sys
import time
import urllib.parse
import urllib.request

DASHBOARDS = pathlib.Path(__file__).resolve().parents[2] / "monitoring" / "grafana" / "dashboards"
SCRAPE_SECONDS = 5  # monitoring/prometheus.yml


def panels(dashboard):
    for panel in dashboard.get("panels", []):
        yield panel
        yield from panels(panel)


def queries():
    """(dashboard, panel, letter, expression) of each."""
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in panels(json.loads(path.read_text())):
            for target in panel.get("targets", []):
                yield path.stem, panel["title"], target["refId"], target["expr"]


def resolve(expression):
    """With All chosen in every variable; $__rate_interval is four scrapes."""
    return expression.replace("$__rate_interval", f"{4 * SCRAPE_SECONDS}s").replace("$job", ".+").replace("$instance", ".+")


def ask(url, expression, begun, ended):
    step = max(1, int((ended - begun) / 200))
    words = urllib.parse.urlencode({"query": expression, "start": begun, "end": ended, "step": step})
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{words}", timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def main(url, begun):
    ended, empty, changing, all_series = time.time(), [], 0, 0
    found = list(queries())
    if not found:
        print(f"no dashboards in {DASHBOARDS}")
        return 1
    for dashboard, panel, letter, expression in found:
        series = ask(url, resolve(expression), float(begun), ended)
        values = [[value for _, value in one["values"] if value != "NaN"] for one in series]
        all_series += len(series)
        changing += any(len(set(one)) > 1 for one in values)
        if not any(values):
            empty.append(f"{dashboard}, {panel} {letter}: {expression}")
    for line in empty:
        print(f"no data: {line}")
    print(f"dashboards: {len(found)} queries, {len(found) - len(empty)} with data, {all_series} series, {changing} queries change during the job")
    return 1 if empty else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
