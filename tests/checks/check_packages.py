#!/usr/bin/env python3
"""Every package in deploy/packages.txt is one that this machine's apt knows; none stands twice.

    check_packages.py PACKAGES.txt
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

from structure import SKIPPED, finish


def read_packages(path):
    """(line, name) of each package; what follows '#' is why."""
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        name = line.split('#')[0].strip()
        if name:
            yield number, name


def known_packages():
    """Names that apt knows from its lists; None without apt or without lists."""
    if shutil.which('apt-cache') is None or not list(Path('/var/lib/apt/lists').glob('*_Packages*')):
        return None
    return set(subprocess.run(['apt-cache', 'pkgnames'], capture_output=True, text=True, check=True).stdout.split())


def main():
    path = sys.argv[1]
    packages = list(read_packages(path))
    known = known_packages()
    violations = []
    seen = set()
    for line, name in packages:
        if not re.fullmatch(r'[a-z0-9][a-z0-9+.-]+', name):
            violations.append(f"{path}:{line}: '{name}' is not a package's name; one a line")
        elif name in seen:
            violations.append(f"{path}:{line}: '{name}' stands twice")
        elif known is not None and name not in known:
            violations.append(f"{path}:{line}: apt does not know '{name}'")
        seen.add(name)
    if known is None and not violations:
        print("packages: apt's lists are not here (apt-get update fetches them), names not checked")
        sys.exit(SKIPPED)
    finish('packages', violations, f'{len(packages)} packages')


if __name__ == '__main__':
    main()
