#!/usr/bin/env python3
"""No binary needs libtorch: neither by its own DT_NEEDED nor by that of a library it needs.

    check_needed.py BIN-DIR
"""
import re
import subprocess
import sys
from pathlib import Path

from structure import SKIPPED, finish

FORBIDDEN = re.compile(r'lib(torch|c10|caffe2|tributary-train)')


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def violations_of(binary):
    dynamic = run('readelf', '-d', str(binary))
    if dynamic is None:
        return [f'{binary}: readelf cannot read it']
    direct = re.findall(r'\(NEEDED\).*\[([^\]]+)\]', dynamic)
    found = [f'{binary}: needs {name}' for name in direct if FORBIDDEN.match(name)]
    if found:
        return found
    for line in (run('ldd', str(binary)) or '').splitlines():
        name = line.split()[0] if line.split() else ''
        if FORBIDDEN.match(Path(name).name):
            found.append(f'{binary}: needs {name} by way of another library')
    return found


def main():
    folder = Path(sys.argv[1])
    binaries = [path for path in sorted(folder.glob('*')) if path.is_file() and path.read_bytes()[:4] == b'\x7fELF']
    if not binaries:
        print(f'needed: {folder} holds no binary yet, nothing to check')
        sys.exit(SKIPPED)
    finish('needed', [v for binary in binaries for v in violations_of(binary)], f'{len(binaries)} binaries')


if __name__ == '__main__':
    main()
