"""As much of PromQL as the checks of dashboards need: which series an expression selects, over which range, inside which function."""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(r"""
    (?P<space>\s+)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<word>\$?[A-Za-z_:][A-Za-z0-9_:]*)
  | (?P<number>[0-9][0-9a-zA-Z.]*)
  | (?P<operator>=~|!~|!=|==|>=|<=|[-+*/%^<>=])
  | (?P<bracket>[(){}\[\],])
""", re.VERBOSE)

GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
KEYWORDS = GROUPING | {"and", "or", "unless", "bool", "offset"}
CLOSES = {"(": ")", "{": "}", "[": "]"}


@dataclass
class Selector:
    name: str
    matchers: list = field(default_factory=list)  # (label, operator, value)
    range: str = ""
    function: str = ""  # the one whose argument it is, if it is one directly


def tokens(expression):
    """(kind, text) without spaces. ValueError for what is no PromQL, brackets that do not match among it."""
    found, at, open_brackets = [], 0, []
    while at < len(expression):
        match = TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"unexpected '{expression[at]}' at {at}")
        at = match.end()
        if match.lastgroup == "space":
            continue
        text = match.group()
        found.append((match.lastgroup, text))
        if text in CLOSES:
            open_brackets.append(CLOSES[text])
        elif match.lastgroup == "bracket" and text != ",":
            if not open_brackets or open_brackets.pop() != text:
                raise ValueError(f"'{text}' at {at} closes nothing")
    if open_brackets:
        raise ValueError(f"'{open_brackets[-1]}' is missing")
    if not found:
        raise ValueError("empty")
    return found


def selectors(expression):
    words, found, calls, at = tokens(expression), [], [], 0
    text = lambda i: words[i][1] if 0 <= i < len(words) else ""
    while at < len(words):
        kind, word = words[at]
        if word == "(":
            before = text(at - 1) if at and words[at - 1][0] == "word" and text(at - 1) not in KEYWORDS else ""
            calls.append(before)
        elif word == ")":
            calls.pop()
        elif kind == "word" and word in GROUPING and text(at + 1) == "(":
            while text(at) != ")":
                at += 1
        elif kind == "word" and word not in KEYWORDS and text(at + 1) != "(" and text(at + 1) not in ("by", "without"):
            selector = Selector(word)
            direct = text(at - 1) == "("
            if text(at + 1) == "{":
                at += 2
                while text(at) != "}":
                    if text(at) != ",":
                        selector.matchers.append((text(at), text(at + 1), text(at + 2)[1:-1]))
                        at += 2
                    at += 1
            if text(at + 1) == "[":
                at += 2
                while text(at) != "]":
                    selector.range += text(at)
                    at += 1
            if direct and text(at + 1) in (")", ","):
                selector.function = calls[-1] if calls else ""
            found.append(selector)
        at += 1
    return found
