#!/usr/bin/env python3
"""Asks a model directory the questions of ../data/mmlu with transformers, and writes ../data/stories_golden.json.

    make_mmlu_golden.py STORIES260K-HF-DIR       (PyPI: torch, transformers)

The prompts are put together here by themselves, with Python's csv and format strings, as
lm-evaluation-harness' task `mmlu` and FlowerTune's evaluation have them; likelihoods are the sums of
log_softmax of the float32 logits, the letter is written by generate(do_sample=False).
"""
import csv
import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

DATA = pathlib.Path(__file__).resolve().parent.parent / 'data'


def read(split, subject):
    with open(DATA / 'mmlu' / split / f'{subject}_{split}.csv', newline='', encoding='utf-8') as file:
        return list(csv.reader(file))


def ask(row):
    return '{}\nA. {}\nB. {}\nC. {}\nD. {}\nAnswer:'.format(row[0].strip(), *row[1:5])


def harness_prompt(subject, examples, row):
    text = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"
    return text + ''.join(f'{ask(example)} {example[5]}\n\n' for example in examples) + ask(row)


def flowertune_prompt(row):
    question = row[0]
    if not question.endswith('?') and not question.endswith('.'):
        question += '?'
    options = '\n'.join(f'{chr(65 + i)}. {row[1 + i]}' for i in range(4))
    prompt = 'Question: ' + question + '\n\nOptions:\n' + options
    prompt = f'Answer the following multiple choice question.\n{prompt}\nThe answer is:\n'
    return f'<|im_start|>question\n{prompt}<|im_end|>\n<|im_start|>answer\n'


class Model:
    def __init__(self, directory):
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.model = AutoModelForCausalLM.from_pretrained(directory, torch_dtype=torch.float32).eval()
        self.positions = self.model.config.max_position_embeddings

    def answer(self, prompts, space):
        """The first prompt that fits; the last one loses its beginning where it does not."""
        for dropped, prompt in enumerate(prompts):
            context = self.tokenizer(prompt)['input_ids']
            whole = [self.tokenizer(prompt + space + letter)['input_ids'] for letter in 'ABCD']
            if max(map(len, whole)) - 1 <= self.positions:
                break
        cut = max(max(map(len, whole)) - 1 - self.positions, 0)
        scores = []
        with torch.no_grad():
            for ids in whole:
                ids = ids[cut:]
                logits = self.model(torch.tensor([ids[:-1]])).logits[0].double().log_softmax(-1)
                begin = len(context) - cut
                scores.append(sum(logits[i - 1, ids[i]].item() for i in range(begin, len(ids))))
            new = max(map(len, whole)) - len(context)
            ids = torch.tensor([context[cut:]])
            written = self.model.generate(ids, max_new_tokens=new, do_sample=False)[0, ids.shape[1]:]
        return {'log_probabilities': scores, 'likeliest': 'ABCD'[scores.index(max(scores))],
                'text': self.tokenizer.decode(written, skip_special_tokens=True),
                'examples': len(prompts) - 1 - dropped, 'tokens': len(context), 'cut': cut > 0}


def main():
    torch.manual_seed(1)
    torch.set_num_threads(1)
    model = Model(sys.argv[1])
    shots = 3
    answers = {'shots': shots, 'lm-eval': [], 'flowertune': []}
    for path in sorted((DATA / 'mmlu' / 'test').glob('*_test.csv')):
        subject = path.name[:-len('_test.csv')]
        examples = read('dev', subject)[:shots]
        for index, row in enumerate(read('test', subject)):
            place = {'subject': subject, 'question': index, 'answer': row[5]}
            prompts = [harness_prompt(subject, examples[:k], row) for k in range(shots, -1, -1)]
            answers['lm-eval'].append(place | model.answer(prompts, ' '))
            answers['flowertune'].append(place | model.answer([flowertune_prompt(row)], ''))
    with open(DATA / 'stories_golden.json', 'w', encoding='utf-8') as file:
        json.dump(answers, file, indent=1)
        file.write('\n')


main()
