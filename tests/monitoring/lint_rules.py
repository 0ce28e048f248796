"""What every dashboard must keep to: the 17 rules of grafana/dashboard-linter, by their names, and ours (`tributary-…`).

check(dashboard) gives the complaints, as (rule, what).
"""

import re

import promql

UNITS = {"none", "string", "short", "percent", "percentunit", "bytes", "decbytes", "Bps", "binBps", "bps", "ops", "cps", "reqps", "s", "ms",
         "dtdurations", "hertz", "bool", "bool_yes_no", "dateTimeAsIso", "dateTimeFromNow", "celsius", "watt"}
DATASOURCE = {"$datasource", "${datasource}"}
QUERY = re.compile(r"^([a-z_]+)\((.+)\)$")
FUNCTIONS = {"label_names", "label_values", "metrics", "query_result"}


def _variables(dashboard, kind=None):
    return [v for v in dashboard.get("templating", {}).get("list", []) if kind in (None, v.get("type"))]


def panels(dashboard):
    """All but rows, those inside of collapsed rows too."""
    for panel in dashboard.get("panels", []):
        if panel.get("type") == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def _template(dashboard, name):
    found = [v for v in _variables(dashboard) if v.get("name") == name]
    if not found:
        yield f"there is no variable {name}"
        return
    variable = found[0]
    if variable.get("datasource", {}).get("uid") not in DATASOURCE:
        yield f"variable {name} does not use $datasource"
    if variable.get("type") != "query":
        yield f"variable {name} is no query"
    if variable.get("label") != name:
        yield f"variable {name} has the label {variable.get('label')}"
    if variable.get("multi") is not True:
        yield f"variable {name} is not multi"
    if variable.get("allValue") != ".+":
        yield f"variable {name} has the allValue {variable.get('allValue')}"


def template_datasource(dashboard):
    found = _variables(dashboard, "datasource")
    if len(found) != 1:
        yield f"{len(found)} datasource variables"
    for variable in found:
        if variable.get("name") != "datasource" or variable.get("label") != "Data Source":
            yield "the datasource variable is not named 'datasource' and labelled 'Data Source'"
        if variable.get("query") != "prometheus":
            yield "the datasource variable is not of Prometheus"


def template_job(dashboard):
    yield from _template(dashboard, "job")


def template_instance(dashboard):
    yield from _template(dashboard, "instance")


def template_label_promql(dashboard):
    for variable in _variables(dashboard, "query"):
        match = QUERY.match(variable.get("query", ""))
        if match is None or match.group(1) not in FUNCTIONS:
            yield f"variable {variable['name']}: {variable.get('query')}"
            continue
        try:
            promql.selectors(match.group(2).rsplit(",", 1)[0])
        except ValueError as error:
            yield f"variable {variable['name']}: {error}"


def template_on_time_change_reload(dashboard):
    for variable in _variables(dashboard, "query"):
        if variable.get("refresh") != 2:
            yield f"variable {variable['name']} is not read anew when the time range changes"


def uneditable_dashboard(dashboard):
    if dashboard.get("editable") is not False:
        yield "editable is not false"


def panel_datasource(panel):
    if panel.get("datasource", {}).get("uid") not in DATASOURCE:
        yield "it does not use $datasource"


def panel_title_description(panel):
    if not panel.get("title") or not panel.get("description"):
        yield "it has no title or no description"


def panel_units(panel):
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    if defaults.get("mappings"):
        return
    units = [defaults.get("unit")]
    for override in panel.get("fieldConfig", {}).get("overrides", []):
        units += [p["value"] for p in override.get("properties", []) if p.get("id") == "unit"]
    for unit in units:
        if unit not in UNITS:
            yield f"unit {unit}"


def panel_no_targets(panel):
    if not panel.get("targets"):
        yield "it has no query"


def target_promql(target):
    try:
        promql.selectors(target.get("expr", ""))
    except ValueError as error:
        yield str(error)


def target_logql(target):
    if target.get("datasource", {}).get("type") == "loki":
        yield "LogQL: this product keeps no logs in Loki"


def target_logql_auto(target):
    if "$__auto" in target.get("expr", ""):
        yield "$__auto is LogQL's"


def target_rate_interval(target):
    for selector in promql.selectors(target["expr"]):
        if selector.range and selector.range != "$__rate_interval":
            yield f"{selector.name}[{selector.range}]"


def _matcher(target, label):
    for selector in promql.selectors(target["expr"]):
        if (label, "=~", f"${label}") not in selector.matchers:
            yield f'{selector.name} lacks {label}=~"${label}"'


def target_job(target):
    yield from _matcher(target, "job")


def target_instance(target):
    yield from _matcher(target, "instance")


def target_counter_agg(target):
    for selector in promql.selectors(target["expr"]):
        if selector.name.endswith("_total") and selector.function not in ("rate", "irate", "increase"):
            yield f"{selector.name} is used without rate or increase"


# Ours.
def tributary_frame(dashboard):
    if dashboard.get("schemaVersion") != 42:
        yield f"schemaVersion {dashboard.get('schemaVersion')}"
    if not dashboard.get("uid") or dashboard.get("id") is not None:
        yield "it needs a uid of its own, and no id"
    for key in ("__inputs", "__requires", "__elements"):
        if key in dashboard:
            yield f"{key} keeps a file from being provisioned"
    if dashboard.get("graphTooltip") != 1 or dashboard.get("timezone") != "browser":
        yield "graphTooltip is not 1, or timezone not browser"
    for variable in _variables(dashboard, "query"):
        if variable.get("current", {}).get("value") not in (["$__all"], {}):
            yield f"variable {variable['name']} keeps somebody's choice"
    chained = [v for v in _variables(dashboard, "query") if "$job" in v.get("query", "")]
    if not chained:
        yield "no variable depends on $job"


def tributary_layout(dashboard):
    ids, taken = set(), {}
    for panel in dashboard.get("panels", []):
        if panel.get("id") in ids:
            yield f"id {panel.get('id')} twice"
        ids.add(panel.get("id"))
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            yield f"{panel['title']} is wider than the page"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if (x, y) in taken:
                    yield f"{panel['title']} lies on {taken[x, y]}"
                    return
                taken[x, y] = panel["title"]


def tributary_thresholds(panel):
    steps = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", [])
    if not steps or steps[0].get("value") is not None:
        yield "it has no thresholds that begin with a base"
    values = [step["value"] for step in steps[1:]]
    if values != sorted(values) or 80 in values:
        yield f"thresholds {values}: they must rise, and 80 is what Grafana leaves in"


def tributary_targets(panel):
    letters = [target.get("refId") for target in panel.get("targets", [])]
    if len(set(letters)) != len(letters):
        yield "a refId twice"
    for target in panel.get("targets", []):
        if re.search(r"\bor\s+(on\s*\(\)\s*)?vector\b", target.get("expr", "")):
            yield "'or vector' shows a number where there is none"
        if not target.get("legendFormat"):
            yield "a query without a legend"


RULES = {
    "dashboard": {"template-datasource": template_datasource, "template-job": template_job, "template-instance": template_instance,
                  "template-label-promql": template_label_promql, "template-on-time-change-reload": template_on_time_change_reload,
                  "uneditable-dashboard": uneditable_dashboard, "tributary-frame": tributary_frame, "tributary-layout": tributary_layout},
    "panel": {"panel-datasource": panel_datasource, "panel-title-description": panel_title_description, "panel-units": panel_units,
              "panel-no-targets": panel_no_targets, "tributary-thresholds": tributary_thresholds, "tributary-targets": tributary_targets},
    "target": {"target-promql": target_promql, "target-logql": target_logql, "target-logql-auto": target_logql_auto,
               "target-rate-interval": target_rate_interval, "target-job": target_job, "target-instance": target_instance,
               "target-counter-agg": target_counter_agg},
}


def check(dashboard):
    found = []
    for rule, function in RULES["dashboard"].items():
        found += [(rule, f"{dashboard.get('title')}: {what}") for what in function(dashboard)]
    for panel in panels(dashboard):
        place = f"{dashboard.get('title')}, {panel.get('title')}"
        for rule, function in RULES["panel"].items():
            found += [(rule, f"{place}: {what}") for what in function(panel)]
        for target in panel.get("targets", []):
            broken = [("target-promql", f"{place}: {what}") for what in target_promql(target)]
            found += broken
            if broken:
                continue  # the others read the query
            for rule, function in RULES["target"].items():
                found += [(rule, f"{place}: {what}") for what in function(target)]
    return found
