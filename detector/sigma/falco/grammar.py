"""Falco's conditions: text → a tree.

The grammar is that of libsinsp (userspace/libsinsp/filter/parser.h). Falco pastes lists into the text before it parses
and looks up macros after; here both are names in the tree, and `resolve` puts in what they stand for.
"""

from __future__ import annotations

import re
from functools import lru_cache

from detector.errors import RuleError
from detector.sigma.falco.tree import And, Check, Const, Expression, Field, Macro, Not, Or, Word

DEEPEST = 50
"""Brackets and functions within each other."""
LIST_OPERATORS = frozenset({"in", "intersects", "pmatch"})
MODIFIERS = frozenset({"anyof", "allof"})


def _token(pattern: str) -> re.Pattern[str]:
    """Compile the form of a token, with the blanks around it."""
    return re.compile(rf"[ \t\b\r\n]*(?P<token>{pattern})[ \t\b\r\n]*", re.DOTALL)


_OR, _AND, _NOT = (_token(rf"{word}(?=[ \t\b\r\n(])") for word in ("or", "and", "not"))
_OPEN, _CLOSE, _COMMA, _LEFT, _RIGHT = (_token(re.escape(mark)) for mark in "(),[]")
_NAME = _token(r"[a-zA-Z][a-zA-Z0-9_]*")
_FIELD = _token(r"[a-zA-Z][a-zA-Z0-9_]*(?:\.[a-zA-Z][a-zA-Z0-9_]*)+")
_FUNCTION = _token(r"[a-zA-Z][a-zA-Z0-9_]*\(")
_WORDS = "exists iglob glob icontains bcontains contains bstartswith startswith endswith regex intersects in pmatch"
_OPERATOR = _token(rf"<=|<|>=|>|==|=|!=|(?:{'|'.join(_WORDS.split())})(?![a-zA-Z0-9_.])")
_MODIFIER = _token(r"(?:anyof|allof|oneof)(?=[ \t\b\r\n]*\()")
_QUOTED = _token(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'")
_BARE = _token(r"""[^()"'\s=,]+""")
_ARGUMENT = _token(r"""[^\[\]"'\s]+""")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Read a condition. Raises RuleError, which names no place."""
    return _Parser(text).whole()


def unquote(text: str) -> Word:
    """Read a value of a YAML list or exception: Falco pastes it into a condition, where quotes mean something."""
    found = _QUOTED.fullmatch(text)
    return Word(_unescaped(found["token"]), True) if found else Word(text)


def _unescaped(quoted: str) -> str:
    return _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), quoted[1:-1])


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def whole(self) -> Expression:
        found = self._either()
        if self.at < len(self.text):
            raise self._error("and, or, or the end")
        return found

    def _take(self, form: re.Pattern[str]) -> str | None:
        """Take what comes next if it is of that form."""
        found = form.match(self.text, self.at)
        if not found:
            return None
        self.at = found.end()
        return found["token"]

    def _error(self, wanted: str) -> RuleError:
        here = self.text[self.at : self.at + 30].split("\n")[0].strip()
        return RuleError(f"expected {wanted} at {here!r}" if here else f"expected {wanted} at the end")

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise RuleError(f"nested more than {DEEPEST} times")

    def _either(self) -> Expression:
        parts = [self._both()]
        while self._take(_OR):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _both(self) -> Expression:
        parts = [self._negated()]
        while self._take(_AND):
            parts.append(self._negated())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _negated(self) -> Expression:
        negative = False
        while self._take(_NOT):
            negative = not negative
        return Not(self._one()) if negative else self._one()

    def _one(self) -> Expression:
        if self._take(_OPEN):
            self._deeper()
            inner = self._either()
            self._close()
            self.depth -= 1
            return inner
        field = self._field()
        if field:
            return self._check(field)
        if name := self._take(_NAME):
            return Macro(name)
        raise self._error("a field, the name of a macro, or a bracket")

    def _close(self) -> None:
        if not self._take(_CLOSE):
            raise self._error("a closing bracket")

    def _field(self) -> Field | None:
        """Read a field, or functions with a field inside."""
        functions: list[str] = []
        while function := self._take(_FUNCTION):
            self._deeper()
            functions.append(function[:-1])
        name = self._take(_FIELD)
        if name is None:
            if functions:
                raise self._error("a field")
            return None
        # The argument follows its field without a blank, or it is none.
        argument = self._argument() if self.text[self.at - 1 : self.at + 1] == f"{name[-1]}[" else None
        for _ in functions:
            self._close()
        self.depth -= len(functions)
        return Field(name, argument, tuple(functions))

    def _argument(self) -> str:
        self._take(_LEFT)
        quoted = self._take(_QUOTED)
        argument = _unescaped(quoted) if quoted else self._take(_ARGUMENT)
        if argument is None or not self._take(_RIGHT):
            raise self._error("an argument in square brackets")
        return argument

    def _check(self, field: Field) -> Expression:
        operator = self._take(_OPERATOR)
        if operator is None:
            raise self._error(f"an operator after {field}")
        operator = "=" if operator == "==" else operator
        if operator == "exists":
            return Check(field, operator)
        if operator in LIST_OPERATORS:
            return Check(field, operator, self._list())
        if modifier := self._take(_MODIFIER):
            return self._modified(field, operator, modifier)
        return self._compared(field, operator)

    def _modified(self, field: Field, operator: str, modifier: str) -> Expression:
        if modifier not in MODIFIERS:
            raise RuleError(f"{operator} {modifier} has no equivalent")
        checks = tuple(Check(field, operator, (value,)) for value in self._list())
        if not checks:
            return Const(False)
        return Or(checks) if modifier == "anyof" else And(checks)

    def _compared(self, field: Field, operator: str) -> Check:
        if _FUNCTION.match(self.text, self.at):
            return Check(field, operator, other=self._field())
        value = self._value()
        if value is None:
            raise self._error(f"a value after {operator}")
        return Check(field, operator, (value,))

    def _value(self) -> Word | None:
        quoted = self._take(_QUOTED)
        if quoted is not None:
            return Word(_unescaped(quoted), True)
        bare = self._take(_BARE)
        return None if bare is None else Word(bare)

    def _list(self) -> tuple[Word, ...]:
        if not self._take(_OPEN):
            name = self._take(_NAME)
            if name is None:
                raise self._error("a list in brackets")
            return (Word(name),)
        values = []
        value = self._value()
        while value is not None:
            values.append(value)
            value = self._value() if self._take(_COMMA) else None
        self._close()
        return tuple(values)
