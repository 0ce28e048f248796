"""The queries of the dashboards, as Grafana would ask them, and which of them must show something that changes while a job goes well."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import lint_rules  # noqa: E402

DASHBOARDS = pathlib.Path(__file__).resolve().parents[2] / "monitoring" / "grafana" / "dashboards"

# What stands still while a job goes well, and why. All else must change.
BY_NATURE = {
    "tributary_job_info": "1 or not there", "tributary_job_rounds": "of the job file", "tributary_seats_wanted": "of the job file",
    "tributary_round_size": "of the job file", "tributary_round_deadline_seconds": "of the job file", "tributary_model_bytes": "of the model",
    "tributary_memory_budget_bytes": "of the command line", "tributary_memory_cgroup_limit_bytes": "of the container",
    "tributary_blob_store_quota_bytes": "of the command line", "tributary_trainer_info": "nobody joins or leaves", "tributary_workers": "nobody joins or leaves",
    "process_start_time_seconds": "nothing is restarted", "tributary_connections": "nobody joins or leaves", "tributary_memory_base_bytes": "of the start",
    "tributary_round_deduplicated_bytes_total": "every slot of this job changes in every round",
    "tributary_blob_store_parked_reads": "on one machine nobody waits as long as a scrape takes",
}
WHEN_ALL_IS_WELL = ("tributary_memory_cgroup_oom_kills_total", "tributary_updates_refused_total", "tributary_blob_store_stalled_sessions_total",
                    "tributary_blob_store_damaged_slots_total", "tributary_blob_store_protocol_errors_total", "tributary_blob_store_credit_violations_total",
                    "tributary_blob_store_no_room_total", "tributary_connections_refused_total", "tributary_permission_refusals_total")
ZERO_WHEN_ALL_IS_WELL = ('state="left_out"', 'state="failed"', 'outcome="failed"')


def of_dashboards():
    """(dashboard, panel, letter, expression) of each."""
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in lint_rules.panels(json.loads(path.read_text())):
            for target in panel["targets"]:
                yield path.stem, panel["title"], target["refId"], target["expr"]


def resolve(expression, scrape_seconds):
    """With All chosen in every variable; $__rate_interval is four scrapes."""
    return expression.replace("$__rate_interval", f"{int(4 * scrape_seconds)}s").replace("$job", ".+").replace("$instance", ".+")


def names(expression):
    return {selector.name for selector in lint_rules.promql.selectors(expression)}


def must_change(expression, excused=()):
    """`excused`: what stands still besides, in the world that is asked."""
    asked = names(expression)
    if asked <= {*BY_NATURE, *excused} or any(zero in expression for zero in ZERO_WHEN_ALL_IS_WELL):
        return False
    return not asked & set(WHEN_ALL_IS_WELL)


def values(series):
    """The numbers of each series that Prometheus answered with, NaN left out."""
    found = [[float(value) for _, value in one["values"]] for one in series]
    return [[value for value in one if value == value] for one in found]


def changes(expression, numbers):
    # What is compared with 1 comes and goes: one series for each phase that there was.
    return any(len(set(one)) > 1 for one in numbers) or ("== 1" in expression and len(numbers) > 1)
