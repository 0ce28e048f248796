#!/usr/bin/env python3
"""Writes the small tokenizers of this folder and golden_ids.json: what the reference makes of tricky text.

    python3 libs/text/tests/golden/make_golden.py BUILD [DATA]

Needs the PyPI package tokenizers, and build/tests/tokenizer_benchmark, which writes the mixed text whose
ids are kept as a digest. With DATA (the folder that TRIBUTARY_TEST_DATA names) the digests for the
tokenizers there are written too; without it those in golden_ids.json stay.
"""
import array
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

HERE = Path(__file__).resolve().parent
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
PROSE = """The river carries the water, and the water carries the boats. Nobody holds the river's water; it's
there and gone. We'll see 1234567 boats in 2024, they're small, I'd say 12 or 345. def main(self, value): return value
    if value == None:
        return [1, 2, 3]
café déjà naïve Привет мир, привет! こんにちは世界。 안녕하세요 مرحبا
"""
TEXTS = [
    '', ' ', '  ', '   a', 'a', 'Hello world', ' Hello world', 'Hello  world! 123 é 😀', "it's we'll THEY'RE I'D 'tis",
    "'\u017f '\u017fx 'S 'LL 'Ll 've'VE", 'a\n', 'a\n\n', 'a \n', 'a \n b', '\n\n  b', '\r\n\r\nx', '\t\tif (x)\n\t\t\treturn;',
    '1', '12', '123', '1234', '1234567890', 'v1.2.3-rc4', '3,14 %', 'x²½Ⅷ٣', '  1', 'a  1', 'a   b', 'end   ', '\u00a0a\u3000b\u2028c',
    '\u180e\u200b\u200d', 'n\u0303o\u0308 e\u0301\u0300', '日本語の文章です。', '中文字符混合abc123', '한국어 텍스트', 'עברית العربية',
    '👨\u200d👩\u200d👧\u200d👦 🇩🇪🏳️\u200d🌈', '!!!???...', '---- ==== ____', '<div class="a">', 'foo_bar fooBar', 'a\u0000b\u001fc\u007f',
    '\ufffd', '\ufeffbom', '\U0010ffff\U000e0001', '▁', '▁▁a ▁b', 'a▁b', '<0x41>', '<s>', '</s> <s>', 'a<s>b', '<unk>', '<|begin_of_text|>hi',
    'a <|mask|> b', 'a   <|mask|>   b', '<|mask|><|mask|>', 'word', 'sword word words word', 'word.', ' a  normal b', 'normalnormal',
    'a <|keep|>  b', '<|keep', '<|keep|>word<|mask|>', 'x<|begin_of_text|> <|mask|>', 'z' * 300, 'ab' * 200, ' ' * 150 + 'x',
    'the river ' * 30, '\n' * 40, "the river's water carries the boats", 'T\u0323he', '¿Qué? «Où»', 'ﬁ ﬂ ﬆ', 'ſ K Å', '０１２３４', '𝟘𝟙𝟚𝒳',
]
INVALID = [b'\xff', b'a\xc3', b'\xe2\x82', b'\xf0\x9f\x98 x', b'\xed\xa0\x80', b'\xc0\xafa', b'\x80\x80 \xfe', b'ok \xf5\x80\x80\x80.']
ADDED = [('<|mask|>', dict(special=True, normalized=False, lstrip=True, rstrip=True)),
         ('<|keep|>', dict(special=False, normalized=False, rstrip=True)),
         ('word', dict(special=False, normalized=False, single_word=True)),
         ('normal', dict(special=False, normalized=True))]


def added_tokens(first_id, specials, vocabulary):
    tokens = []
    for content, options in [(s, dict(special=True, normalized=False)) for s in specials] + ADDED:
        entry = dict(id=vocabulary.get(content, first_id), content=content, single_word=False, lstrip=False, rstrip=False,
                     normalized=False, special=False)
        first_id += content not in vocabulary
        entry.update(options)
        tokens.append(entry)
    return tokens


def byte_level(pre_tokenizer, size, merges_as_pairs, specials=('<|begin_of_text|>', '<|end_of_text|>'), **more):
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.train_from_iterator([PROSE], trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    model = json.loads(trained.to_str())['model']
    if not merges_as_pairs:
        model['merges'] = [' '.join(pair) for pair in model['merges']]
    model.update(more)
    tokens = added_tokens(len(model['vocab']), specials, model['vocab'])
    return dict(version='1.0', truncation=None, padding=None, added_tokens=tokens, normalizer=None, pre_tokenizer=pre_tokenizer,
                post_processor=None, decoder=dict(type='ByteLevel', add_prefix_space=True, trim_offsets=True, use_regex=True), model=model)


def template(token, number):
    return dict(type='TemplateProcessing', single=[dict(SpecialToken=dict(id=token, type_id=0)), dict(Sequence=dict(id='A', type_id=0))],
                pair=[dict(Sequence=dict(id='A', type_id=0)), dict(Sequence=dict(id='B', type_id=1))],
                special_tokens={token: dict(id=token, ids=[number], tokens=[token])})


def llama3():
    split = dict(type='Split', pattern=dict(Regex=LLAMA3), behavior='Isolated', invert=False)
    level = dict(type='ByteLevel', add_prefix_space=False, trim_offsets=True, use_regex=False)
    made = byte_level(dict(type='Sequence', pretokenizers=[split, level]), 400, True, ignore_merges=True)
    # Tokens that merges do not reach: ignore_merges is what finds them.
    vocabulary = made['model']['vocab']
    merges = made['model']['merges']
    made['model']['merges'] = [pair for pair in merges if ''.join(pair) not in ('Ġriver', 'value')]
    assert len(made['model']['merges']) < len(merges) and 'Ġriver' in vocabulary
    begin = made['added_tokens'][0]
    made['post_processor'] = dict(type='Sequence', processors=[
        dict(type='ByteLevel', add_prefix_space=True, trim_offsets=False, use_regex=True), template(begin['content'], begin['id'])])
    return made


def gpt2():
    digits = dict(type='Digits', individual_digits=False)
    level = dict(type='ByteLevel', add_prefix_space=True, trim_offsets=True, use_regex=True)
    return byte_level(dict(type='Sequence', pretokenizers=[digits, level]), 330, False)


def split_by_hand():
    """An expression that is nobody's: what the regular expression library is for."""
    split = dict(type='Split', pattern=dict(Regex=r'\p{Lu}?\p{Ll}+|\p{N}{1,2}(?!\d)|[^\s\p{L}\p{N}]+\s?|\s+(?=\S)|(?i:the)'), behavior='Isolated', invert=False)
    bar = dict(type='Split', pattern=dict(String='='), behavior='Isolated', invert=False)
    level = dict(type='ByteLevel', add_prefix_space=False, trim_offsets=True, use_regex=False)
    return byte_level(dict(type='Sequence', pretokenizers=[split, bar, level]), 330, True)


def by_character(normalizer, pre_tokenizer, byte_fallback, decoder):
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator([PROSE.replace('\n', ' ')], trainers.BpeTrainer(vocab_size=190, show_progress=False))
    model = json.loads(trained.to_str())['model']
    names = ['<unk>', '<s>', '</s>'] + ([f'<0x{byte:02X}>' for byte in range(256)] if byte_fallback else [])
    left_out = {'q', 'ï', '世', 'м'}  # characters that have to fall back
    merges = [pair for pair in model['merges'] if not any(c in left_out for c in ''.join(pair))]
    merges = [['▁', '▁'], ['▁▁', '▁▁'], ['▁', 'b']] + [pair for pair in merges if pair != ['▁', 'b']]
    names += [token for token in model['vocab'] if len(token) == 1 and token not in left_out]
    names += [''.join(pair) for pair in merges]
    vocabulary = {name: number for number, name in enumerate(dict.fromkeys(names))}
    merges = [pair for pair in merges if pair[0] in vocabulary and pair[1] in vocabulary]
    model.update(vocab=vocabulary, merges=merges, unk_token='<unk>', fuse_unk=True, byte_fallback=byte_fallback)
    return dict(version='1.0', truncation=None, padding=None, added_tokens=added_tokens(len(vocabulary), ('<unk>', '<s>', '</s>'), vocabulary),
                normalizer=normalizer, pre_tokenizer=pre_tokenizer, post_processor=template('<s>', 1), decoder=decoder, model=model)


REPLACE = dict(type='Replace', pattern=dict(String=' '), content='▁')
LLAMA2_DECODER = dict(type='Sequence', decoders=[
    dict(type='Replace', pattern=dict(String='▁'), content=' '), dict(type='ByteFallback'), dict(type='Fuse'),
    dict(type='Strip', content=' ', start=1, stop=0)])
METASPACE = dict(type='Metaspace', replacement='▁', prepend_scheme='first', split=False)
METASPACE_DECODER = dict(type='Sequence', decoders=[dict(type='ByteFallback'), dict(METASPACE)])


def write_tokenizers():
    legacy = dict(type='Sequence', normalizers=[dict(type='Prepend', prepend='▁'), REPLACE])
    made = dict(
        llama3=llama3(), gpt2=gpt2(), expression=split_by_hand(),
        llama2=by_character(legacy, None, True, LLAMA2_DECODER),
        metaspace=by_character(None, METASPACE, True, METASPACE_DECODER),
        metaspace_always=by_character(None, dict(METASPACE, prepend_scheme='always', split=True), True, dict(METASPACE, prepend_scheme='always', split=True)),
        unknown=by_character(REPLACE, None, False, LLAMA2_DECODER))
    for name, content in made.items():
        text = json.dumps(content, ensure_ascii=False, separators=(',', ':'))
        (HERE / f'{name}_tokenizer.json').write_text(text + '\n')
    return list(made)


def digest(ids):
    return hashlib.sha256(array.array('i', ids).tobytes()).hexdigest()


def encode(tokenizer, text, parse):
    tokenizer.encode_special_tokens = not parse
    return tokenizer.encode(text, add_special_tokens=parse).ids


def load(place):
    if (place / 'tokenizer.json').is_file():
        place = place / 'tokenizer.json'
    if place.is_file():
        tokenizer = Tokenizer.from_file(str(place))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer
    tokenizer = Tokenizer(models.BPE.from_file(str(place / 'encoder.json'), str(place / 'vocab.bpe')))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(['<|endoftext|>'])
    return tokenizer


def mixed(build, size, prose):
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run([build / 'tests/tokenizer_benchmark', '--mixed', str(size), prose, out.name], check=True)
        return Path(out.name).read_bytes().decode(errors='replace')


def main():
    build = Path(sys.argv[1]).resolve()
    out = HERE / 'golden_ids.json'
    old = json.loads(out.read_text()) if out.is_file() else {}
    names = write_tokenizers()
    texts = [dict(text=text) for text in TEXTS] + [dict(bytes=raw.hex()) for raw in INVALID]
    plain = TEXTS + [raw.decode(errors='replace') for raw in INVALID]
    small = mixed(build, 400_000, '/dev/null')
    golden = dict(made_with=f'tokenizers {tokenizers.__version__}', texts=texts, small_bytes=400_000, tokenizers={}, data=old.get('data', {}))
    for name in names:
        tokenizer = load(HERE / f'{name}_tokenizer.json')
        golden['tokenizers'][name] = dict(
            ids=[encode(tokenizer, text, False) for text in plain],
            parsed_ids=[encode(tokenizer, text, True) for text in plain],
            decoded=[tokenizer.decode(encode(tokenizer, text, True)) for text in plain],
            small_sha256=digest(encode(tokenizer, small, False)),
            small_parsed_sha256=digest(encode(tokenizer, small, True)))
    if len(sys.argv) > 2:
        data = Path(sys.argv[2])
        large = mixed(build, 6_000_000, data / 'instruction-data.json')
        golden['data'] = dict(prose='instruction-data.json', bytes=6_000_000, tokenizers={})
        for place in ('gpt2-tokenizer', 'smollm-tokenizer', 'stories260k/hf'):
            tokenizer = load(data / place)
            golden['data']['tokenizers'][place] = dict(sha256=digest(encode(tokenizer, large, False)),
                                                       parsed_sha256=digest(encode(tokenizer, large, True)))
    text = json.dumps(golden, ensure_ascii=False, separators=(',', ':'))
    out.write_text(text.replace('],[', '],\n[').replace('"parsed_ids"', '\n"parsed_ids"') + '\n')
    print(out, out.stat().st_size)


if __name__ == '__main__':
    main()
