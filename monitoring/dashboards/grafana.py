"""The small part of Grafana's dashboard model that ours need: a function per kind of panel, and the frame around them.

A panel is written with what is particular to it (title, description, unit, thresholds, queries); what all panels share is here. Queries
are PromQL in which `M` stands for the matchers of the dashboard's variables: rate(tributary_x_total{M}[R]), where `R` is
$__rate_interval. The JSON that comes out is Grafana's schemaVersion 42.
"""

import re

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
MATCHERS = 'job=~"$job", instance=~"$instance"'
WIDTH = 24


def expand(expr):
    expr = re.sub(r"\{M(, )?", lambda m: "{" + MATCHERS + (m.group(1) or ""), expr)
    return expr.replace("[R]", "[$__rate_interval]")


def query(expr, legend, instant=False):
    target = {"datasource": DATASOURCE, "editorMode": "code", "expr": expand(expr), "legendFormat": legend, "range": not instant}
    if instant:
        target.update({"instant": True, "format": "table"})
    return target


def steps(*levels):
    """The base color, then (value, color) rising: steps("green", (0.8, "orange"), (1, "red"))."""
    base, *above = levels
    return {"mode": "absolute",
            "steps": [{"color": base, "value": None}] + [{"color": color, "value": value} for value, color in above]}


# Of a quantity for which no value is better or worse than another.
NEUTRAL = steps("blue")


def _panel(kind, title, description, unit, thresholds, queries, *, width, height, defaults=None, overrides=(), options=None):
    targets = [dict(q, refId=chr(ord("A") + i)) for i, q in enumerate(queries)]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": unit, "thresholds": thresholds, **(defaults or {})}, "overrides": list(overrides)},
        "options": options or {},
        "targets": targets,
    }


def timeseries(title, description, unit, thresholds, *queries, width=12, height=8, stack=False, bars=False, log=False, floor=0,
               line=False, dashed=()):
    """`line` draws the thresholds; `dashed` names series that are limits, not measurements."""
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 1,
        "fillOpacity": 60 if bars else 25 if stack else 8,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
        "scaleDistribution": {"type": "log", "log": 2} if log else {"type": "linear"},
        "thresholdsStyle": {"mode": "dashed" if line else "off"},
    }
    defaults = {"color": {"mode": "palette-classic"}, "custom": custom}
    if floor is not None and not log:
        defaults["min"] = floor
    overrides = [{"matcher": {"id": "byRegexp", "options": f"/^{name}/"},
                  "properties": [{"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}},
                                 {"id": "custom.fillOpacity", "value": 0},
                                 {"id": "custom.stacking", "value": {"mode": "none", "group": "B"}},
                                 {"id": "color", "value": {"mode": "fixed", "fixedColor": color}}]} for name, color in dashed]
    options = {"legend": {"displayMode": "table", "placement": "right" if width > 12 else "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    return _panel("timeseries", title, description, unit, thresholds, queries, width=width, height=height, defaults=defaults,
                  overrides=overrides, options=options)


def stat(title, description, unit, thresholds, *queries, width=4, height=4, names=False, decimals=None, sparkline=False):
    """`names`: shows the series' names, not their values."""
    options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
               "colorMode": "value", "graphMode": "area" if sparkline else "none", "justifyMode": "auto", "orientation": "auto",
               "textMode": "name" if names else "auto", "wideLayout": True}
    defaults = {"color": {"mode": "thresholds"}}
    if decimals is not None:
        defaults["decimals"] = decimals
    return _panel("stat", title, description, unit, thresholds, queries, width=width, height=height, defaults=defaults, options=options)


def timeline(title, description, thresholds, *queries, width=24, height=4):
    """What goes on when: a lane per series, colored where it is 1."""
    options = {"mergeValues": True, "showValue": "never", "alignValue": "left", "rowHeight": 0.8,
               "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False}, "tooltip": {"mode": "single", "sort": "none"}}
    defaults = {"color": {"mode": "thresholds"}, "custom": {"fillOpacity": 80, "lineWidth": 0}}
    return _panel("state-timeline", title, description, "short", thresholds, queries, width=width, height=height, defaults=defaults, options=options)


def table(title, description, unit, thresholds, columns, *, labels, width=24, height=8):
    """A row per set of `labels`; `columns` are (expression, heading), or (expression, heading, unit)."""
    queries = [query(column[0], column[1], instant=True) for column in columns]
    names = {f"Value #{chr(ord('A') + i)}": column[1] for i, column in enumerate(columns)}
    keep = list(labels) + list(names)
    overrides = [{"matcher": {"id": "byName", "options": column[1]}, "properties": [{"id": "unit", "value": column[2]}]}
                 for column in columns if len(column) > 2]
    panel = _panel("table", title, description, unit, thresholds, queries, width=width, height=height, overrides=overrides,
                   defaults={"color": {"mode": "thresholds"}, "custom": {"align": "auto", "cellOptions": {"type": "auto"}}},
                   options={"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"], "fields": ""}})
    panel["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "filterFieldsByName", "options": {"include": {"names": keep}}},
        {"id": "organize", "options": {"renameByName": names, "indexByName": {name: i for i, name in enumerate(keep)}}},
    ]
    return panel


def row(title, *panels):
    return {"title": title, "panels": list(panels)}


def variable(name, label, definition):
    """Of all values that the query gives; the names and labels that Grafana's linter expects."""
    return {
        "type": "query", "name": name, "label": label, "datasource": DATASOURCE,
        "definition": definition, "query": definition,
        "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".+", "regex": "", "hide": 0,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "options": [],
    }


def dashboard(uid, title, description, rows):
    panels, y, number = [], 0, 0
    for section in rows:
        number += 1
        panels.append({"id": number, "type": "row", "title": section["title"], "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
        x, y, lowest = 0, y + 1, 0
        for panel in section["panels"]:
            width, height = panel["gridPos"]["w"], panel["gridPos"]["h"]
            if x + width > WIDTH:
                x, y, lowest = 0, y + lowest, 0
            number += 1
            panels.append({"id": number, **panel, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
            x, lowest = x + width, max(lowest, height)
        y += lowest
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["tributary"],
        "schemaVersion": 42,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timepicker": {},
        "fiscalYearStartMonth": 0,
        "weekStart": "",
        "liveNow": False,
        "annotations": {"list": [{"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True, "hide": True,
                                  "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard"}]},
        "links": [{"type": "dashboards", "title": "Tributary", "tags": ["tributary"], "asDropdown": False, "includeVars": True,
                   "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}],
        "templating": {"list": [
            {"type": "datasource", "name": "datasource", "label": "Data Source", "query": "prometheus", "refresh": 1, "regex": "",
             "hide": 0, "multi": False, "includeAll": False, "current": {}, "options": []},
            variable("job", "job", "label_values(tributary_memory_budget_bytes, job)"),
            variable("instance", "instance", 'label_values(tributary_memory_budget_bytes{job=~"$job"}, instance)'),
        ]},
        "panels": panels,
    }
