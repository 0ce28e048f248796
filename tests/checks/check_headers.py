#!/usr/bin/env python3
"""Each public header compiles alone, with the include folders that its library's DEPS give and no others.

    check_headers.py SOURCE-DIR DEPENDENCIES.txt COMPILER
"""
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from structure import finish, read_dependencies

JOBS = 2


def closure(dependencies, name):
    found = []
    waiting = [name]
    while waiting:
        library = waiting.pop()
        if library not in found:
            found.append(library)
            waiting += dependencies.get(library, [])
    return found


def compile_alone(compiler, root, folders, header):
    command = [compiler, '-std=c++20', '-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-DMSGPACK_NO_BOOST']
    command += [f'-I{root / "libs" / library / "include"}' for library in folders]
    command += ['-x', 'c++', '-']
    done = subprocess.run(command, input=f'#include "{header}"\n', capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if 'error:' in line] or done.stderr.splitlines()
    return lines[0] if lines else f'compiler ended with {done.returncode}'


def main():
    root, compiler = Path(sys.argv[1]), sys.argv[3]
    dependencies = read_dependencies(sys.argv[2])
    work = []
    for name in dependencies:
        include = root / 'libs' / name / 'include'
        for header in sorted(include.rglob('*.h')) if include.is_dir() else []:
            work.append((name, header.relative_to(include)))
    with ThreadPoolExecutor(JOBS) as pool:
        results = pool.map(lambda w: compile_alone(compiler, root, closure(dependencies, w[0]), w[1]), work)
        violations = [f'libs/{name}/include/{header}: does not compile alone: {why}'
                      for (name, header), why in zip(work, results) if why]
    finish('headers', violations, f'{len(work)} headers')


if __name__ == '__main__':
    main()
