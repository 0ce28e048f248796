#!/usr/bin/env python3
"""Holds the ids of build/tests/tokenizer_benchmark against those of the reference tokenizers.

    python3 libs/text/tests/golden/compare_ids.py BUILD DATA [MEGABYTES]

BUILD is the build directory, DATA the folder that TRIBUTARY_TEST_DATA names. Needs the PyPI package
tokenizers. Prints for each tokenizer the size of the text, the first place that differs if one does,
both speeds, and the SHA-256 of the reference's ids, which golden_ids_test.cc has.
"""
import array
import hashlib
import io
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

os.environ['TOKENIZERS_PARALLELISM'] = 'false'
os.environ['RAYON_NUM_THREADS'] = '1'
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402

HERE = Path(__file__).resolve().parent


def gpt2(data):
    folder = data / 'gpt2-tokenizer'
    tokenizer = Tokenizer(models.BPE.from_file(str(folder / 'encoder.json'), str(folder / 'vocab.bpe')))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(['<|endoftext|>'])
    return tokenizer


def from_json(path):
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def reviews(data, size):
    """IMDB reviews, in the archive's order."""
    out = io.BytesIO()
    with tarfile.open(data / 'imdb-aclImdb.tar.xz') as archive:
        for member in archive:
            if member.isfile() and member.name.endswith('.txt'):
                out.write(archive.extractfile(member).read() + b'\n')
                if out.tell() >= size:
                    break
    return out.getvalue()


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def compare(name, tokenizer, place, text_path, benchmark, scratch, parse):
    text = text_path.read_bytes().decode(errors='replace')
    tokenizer.encode_special_tokens = not parse
    before = cpu()
    expected = tokenizer.encode(text, add_special_tokens=parse).ids
    seconds = cpu() - before
    ids_path = scratch / 'ids'
    flags = ['--parse', '--special'] if parse else []
    told = subprocess.run([benchmark, place, text_path, ids_path, *flags], check=True, capture_output=True, text=True)
    ids = array.array('i', ids_path.read_bytes())
    same = list(ids) == expected
    digest = hashlib.sha256(array.array('i', expected).tobytes()).hexdigest()
    size = text_path.stat().st_size
    print(f'{name}{" parse" if parse else ""}, {text_path.name}: {size} bytes, {len(expected)} ids: '
          f'{"identical" if same else "DIFFERENT"}; sha256 {digest}')
    print(f'  here: {told.stdout.strip()}; reference {size / 1e6 / seconds:.1f} MB/s')
    if not same:
        at = next((i for i, (a, b) in enumerate(zip(ids, expected)) if a != b), min(len(ids), len(expected)))
        print(f'  first difference at id {at}: here {list(ids[at:at + 8])}, reference {expected[at:at + 8]} '
              f'{[tokenizer.id_to_token(i) for i in expected[max(0, at - 4):at + 8]]}')
    return same


def main():
    build, data = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    size = int(float(sys.argv[3]) * 1e6) if len(sys.argv) > 3 else 6_000_000
    benchmark = build / 'tests' / 'tokenizer_benchmark'
    cases = [('gpt2', gpt2(data), data / 'gpt2-tokenizer'),
             ('smollm', from_json(data / 'smollm-tokenizer/tokenizer.json'), data / 'smollm-tokenizer'),
             ('stories260k', from_json(data / 'stories260k/hf/tokenizer.json'), data / 'stories260k/hf')]
    # Not expression_tokenizer.json: the system's PCRE2 may not know the newest letters.
    cases += [(path.name, from_json(path), path) for path in sorted(HERE.glob('*_tokenizer.json'))
              if path.name != 'expression_tokenizer.json']
    same = True
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        subprocess.run([benchmark, '--mixed', str(size), data / 'instruction-data.json', scratch / 'mixed'], check=True)
        (scratch / 'reviews').write_bytes(reviews(data, size))
        for case in cases:
            for text in ('mixed', 'reviews'):
                for parse in (True, False):
                    same = compare(*case, scratch / text, benchmark, scratch, parse) and same
    sys.exit(0 if same else 1)


if __name__ == '__main__':
    main()
