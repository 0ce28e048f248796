#!/usr/bin/env python3
"""Asks every query of the dashboards in monitoring/grafana/dashboards of a Prometheus that has watched a job, as Grafana would ask it.

    dashboard_queries.py URL BEGUN       the Prometheus, and the second since which it watches. Exit 1: a query without data, or one that stands
                                         still though what it asks for changes in every job (tests/monitoring/queries.py)
"""

import json
import pathlib
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "monitoring"))
sys.dont_write_bytecode = True

import queries  # noqa: E402

SCRAPE_SECONDS = 5  # monitoring/prometheus.yml
# What may pass between two scrapes, or does not happen to the one job of deploy/compose-demo; tests/monitoring/live_test.py looks more often, at two jobs.
EXCUSED = {"tributary_aggregation_slots": "a small model is averaged in a moment", "tributary_aggregation_parts": "the same",
           "tributary_memory_pool_bytes": "a small model's transfers hold their buffers for a moment", "tributary_jobs": "it waits for nobody",
           "tributary_memory_pool_peak_bytes": "the first round's transfer may be the fullest that a pool gets, and be over before the first scrape"}


def ask(url, expression, begun, ended):
    step = max(1, int((ended - begun) / 200))
    words = urllib.parse.urlencode({"query": expression, "start": begun, "end": ended, "step": step})
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{words}", timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def main(url, begun):
    ended, empty, still, changing, must, all_series = time.time(), [], [], 0, 0, 0
    found = list(queries.of_dashboards())
    if not found:
        print(f"no dashboards in {queries.DASHBOARDS}")
        return 1
    for dashboard, panel, letter, expression in found:
        series = ask(url, queries.resolve(expression, SCRAPE_SECONDS), float(begun), ended)
        numbers = queries.values(series)
        all_series += len(series)
        changes, expected = queries.changes(expression, numbers), queries.must_change(expression, EXCUSED)
        changing += changes
        must += expected
        if not any(numbers):
            empty.append(f"{dashboard}, {panel} {letter}: {expression}")
        elif expected and not changes:
            still.append(f"{dashboard}, {panel} {letter}: {expression}")
    for line in empty:
        print(f"no data: {line}")
    for line in still:
        print(f"never changes: {line}")
    print(f"dashboards: {len(found)} queries, {len(found) - len(empty)} with data, {all_series} series; {changing} queries change during the job, {must - len(still)} of "
          f"the {must} that must")
    return 1 if empty or still else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
