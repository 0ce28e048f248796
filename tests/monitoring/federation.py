"""A real federation and a real Prometheus on this machine's loopback, for tests: four services, three trainers at three sites.

Two trainers are scraped; one is behind a firewall, as it were: its metrics are relayed. Where this process may make control groups, each
server runs in one with a limit of 128 MiB, as a container would.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request

SERVERS = ("coordinator", "blob-store", "aggregator")
LIMIT = 128 * 1024 * 1024
BUDGET = "16MiB"
SCRAPE_SECONDS = 0.5  # much goes by in a second
WORDS = ("the river runs to the sea and all the water of the hills comes down with it but no part of it ever holds all the water").split()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def wait_for(what, condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds} s")


class ControlGroup:
    """One with a memory limit, of version 1 or 2; made() is false where that is not ours to make."""

    def __init__(self, name, bytes=LIMIT):
        self.path = None
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            base, limit = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes") if "memory" in controllers.split(",") else
                           ("/sys/fs/cgroup", "memory.max") if not controllers else (None, None))
            if base is None:
                continue
            path = pathlib.Path(base + place.rstrip("/")) / f"tributary-test-{os.getpid()}-{name}"
            try:
                path.mkdir()
                (path / limit).write_text(str(bytes))
                self.path = path
                return
            except OSError:
                if path.is_dir():
                    path.rmdir()

    def made(self):
        return self.path is not None

    def enter(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        if self.path is None:
            return
        for _ in range(50):
            try:
                self.path.rmdir()
                return
            except OSError:
                time.sleep(0.1)


class Federation:
    def __init__(self, binaries, monitoring, work):
        self.binaries, self.monitoring, self.work = pathlib.Path(binaries), pathlib.Path(monitoring), pathlib.Path(work)
        self.processes, self.groups = [], []
        self.metrics = {}  # "coordinator" or "trainer north": address
        self.limited = False

    def start(self, name, command, group=None):
        enter = group.enter if group is not None and group.made() else None
        with open(self.work / f"{name.replace(' ', '-')}.log", "wb") as log:
            process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=subprocess.STDOUT, preexec_fn=enter)
        self.processes.append((name, process))
        return process

    def begin(self):
        control, data = f"tcp://127.0.0.1:{free_port()}", f"tcp://127.0.0.1:{free_port()}"
        self.control = control
        commands = {
            "coordinator": ["--listen", control, "--state-dir", self.work / "coordinator", "--blob-store", data],
            "blob-store": ["--listen", data, "--data-dir", self.work / "blob-store", "--quota", "2GiB"],
            "aggregator": ["--coordinator", control, "--instance", "aggregator-0", "--own-peaks"],
        }
        common = ["--memory-budget", BUDGET]
        for name in SERVERS:
            group = ControlGroup(name)
            self.groups.append(group)
            self.metrics[name] = f"127.0.0.1:{free_port()}"
            self.start(name, [self.binaries / f"tributary-{name}", *commands[name], *common, "--metrics-address", self.metrics[name]], group)
        self.limited = all(group.made() for group in self.groups)
        words = self.work / "words"
        words.mkdir()
        for i in range(3):
            (words / f"{i}.txt").write_text("\n\n".join(" ".join(WORDS[(i + j * (i + 3) + k) % len(WORDS)] for j in range(60)) for k in range(30)))
        for ordinal, site in enumerate(("north", "south")):
            address = self.metrics[f"trainer {site}"] = f"127.0.0.1:{free_port()}"
            self.start_trainer(site, ordinal, address)
        for name, address in self.metrics.items():
            wait_for(f"{name} is ready", lambda: get(f"http://{address}/readyz") == "ok\n", 60)

    def start_trainer(self, site, ordinal, address):
        self.start(f"trainer {site}", [self.binaries / "tributary-trainer", "--coordinator", self.control, "--site", site, "--instance", "trainer-0",
                                       "--ordinal", ordinal, "--data", f"words={self.work / 'words'}", "--train-threads", "1", "--own-peaks",
                                       "--memory-budget", BUDGET, "--metrics-address", address])

    def begin_prometheus(self):
        """With the product's own configuration, but for where targets are and how often they are scraped."""
        text = (self.monitoring / "prometheus.yml").read_text()
        text = text.replace("scrape_interval: 5s", f"scrape_interval: {int(SCRAPE_SECONDS * 1000)}ms").replace("scrape_timeout: 4s", f"scrape_timeout: {int(SCRAPE_SECONDS * 1000)}ms")
        text = text.replace("evaluation_interval: 5s", "evaluation_interval: 1s")
        targets = {name: [a for n, a in self.metrics.items() if n.split()[0] == name] for name in (*SERVERS, "trainer")}
        for name, addresses in targets.items():
            text, found = re.subn(rf"    dns_sd_configs:\n      - names: \[{name}\]\n(        .*\n)+", f"    static_configs:\n      - targets: {json.dumps(addresses)}\n", text)
            assert found == 1, f"prometheus.yml does not find {name} by its name"
        home = self.work / "prometheus"
        shutil.copytree(self.monitoring / "rules", home / "rules")
        (home / "prometheus.yml").write_text(text)
        self.prometheus = f"http://127.0.0.1:{free_port()}"
        self.start("prometheus", ["prometheus", "--config.file", home / "prometheus.yml", "--storage.tsdb.path", home / "data", "--web.listen-address",
                                  self.prometheus.removeprefix("http://")])
        wait_for("Prometheus is ready", lambda: get(f"{self.prometheus}/-/ready"), 60)
        wait_for("Prometheus has scraped everything", lambda: len(self.query("up == 1")) == len(self.metrics), 60)

    def ask(self, path, **parameters):
        answer = json.loads(get(f"{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"))
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        return self.ask("query", query=expression)["result"]

    def query_range(self, expression, start, end):
        return self.ask("query_range", query=expression, start=start, end=end, step=SCRAPE_SECONDS)["result"]

    def submit(self, job):
        path = self.work / "job.yaml"
        path.write_text(job)
        subprocess.run([self.binaries / "tributary", "submit", path, "--coordinator", self.control], check=True, timeout=60, stdout=subprocess.DEVNULL)

    def add_missing_trainer(self):
        """The third, which is relayed, once it has been missed."""
        wait_for("the third trainer is missed", lambda: self.query('min_over_time(tributary_seats{state="free"}[2s]) == 1'), 60)
        self.start_trainer("west", 2, "off")

    def wait_for_jobs(self, completed):
        def done():
            for name, process in self.processes:
                assert process.poll() is None, f"{name} ended: {(self.work / (name.replace(' ', '-') + '.log')).read_text()[-2000:]}"
            text = get(f"http://{self.metrics['coordinator']}/metrics")
            assert 'tributary_jobs{state="failed"} 0\n' in text, (self.work / "coordinator.log").read_text()[-2000:]
            return f'tributary_jobs{{state="completed"}} {completed}\n' in text

        wait_for(f"{completed} jobs are completed", done, 400)

    def end(self):
        for _, process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for _, process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for group in self.groups:
            group.remove()
