#!/usr/bin/env python3
"""Writes src/unicode_ranges.inc: the character classes as the reference tokenizers see them.

    python3 libs/text/tests/golden/unicode_ranges.py     (needs the PyPI package tokenizers)

Regular expression libraries differ in the version of Unicode that they carry, and with it in the
pieces they cut. The classes are therefore asked of the reference itself, code point by code point.
"""
from pathlib import Path

import tokenizers
from tokenizers import Regex, pre_tokenizers

OUT = Path(__file__).resolve().parents[2] / 'src' / 'unicode_ranges.inc'
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CLASSES = ('letter', 'number', 'numeric', 'space', 'word')


def matching(expression):
    """Code points that the expression of one character matches."""
    split = pre_tokenizers.Split(Regex(expression), 'removed')
    left = set()
    for piece, _ in split.pre_tokenize_str(''.join(map(chr, POINTS))):
        left.update(piece)
    return {c for c in POINTS if chr(c) not in left}


def numeric():
    """What pre_tokenizers.Digits takes for a digit: not quite the expression's class."""
    pieces = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str(
        'a' + 'a'.join(map(chr, POINTS)) + 'a')
    return {ord(piece) for piece, _ in pieces if len(piece) == 1 and piece != 'a'}


def word():
    """\\w of the library that decides about single_word."""
    pieces = pre_tokenizers.Whitespace().pre_tokenize_str(' '.join('a' + chr(c) for c in POINTS))
    return {ord(piece[1]) for piece, _ in pieces if len(piece) == 2 and piece[0] == 'a'}


def main():
    sets = (matching(r'\p{L}'), matching(r'\p{N}'), numeric(), matching(r'\s'), word())
    masks = [sum(1 << bit for bit, members in enumerate(sets) if c in members) for c in range(0x110000)]
    ranges = []
    for c, mask in enumerate(masks):
        if mask and ranges and ranges[-1][1] == c - 1 and ranges[-1][2] == mask:
            ranges[-1][1] = c
        elif mask:
            ranges.append([c, c, mask])
    lines = [f'// Written by tests/golden/unicode_ranges.py from tokenizers {tokenizers.__version__}: first, last, mask;',
             '// mask: ' + ', '.join(f'{1 << bit} {name}' for bit, name in enumerate(CLASSES)) + '.']
    line = ''
    for first, last, mask in ranges:
        item = f'{{0x{first:X}, 0x{last:X}, {mask}}},'
        if line and len(line) + 1 + len(item) > 100:
            lines.append(line)
            line = ''
        line += (' ' if line else '') + item
    lines.append(line)
    OUT.write_text('\n'.join(lines) + '\n')
    print(f'{OUT}: {len(ranges)} ranges', [len(s) for s in sets])


if __name__ == '__main__':
    main()
