"""An interpreter of pickles that makes inert objects: nothing that a pickle names is imported, called or executed."""

import pickletools
import sys
from collections.abc import Callable, Mapping

#: bytes that an object is counted for beside its own size: places on the stack, in a list, in the memo
OVERHEAD = 200
DEEPEST_KEY = 8


class Refused(ValueError):
    """A pickle that is damaged, hostile, or of a kind that is not read; says where."""


class Name:
    """A class or function that a pickle names; it is not looked up."""

    __slots__ = ("path",)

    def __init__(self, path: str):
        self.path = path

    def __repr__(self):
        return f"<{self.path}>"


class Ordered(dict):
    """A dictionary that may have been given attributes of its own (`state`)."""

    __slots__ = ("state",)


class Inert:
    """An object of a class that is not known: what it was made with, and what it was given then.

    path: of the class or function; args: what it was called with; state: its attributes, where it has been given some;
    items: of one that is used as a dictionary; entries: of one that is used as a list.
    """

    __slots__ = ("args", "entries", "items", "path", "state")

    def __init__(self, path: str, args: tuple = ()):
        self.path, self.args, self.state, self.items, self.entries = path, args, None, {}, []

    def __repr__(self):
        return f"<{self.path} object>"


def load(pickle: bytes, makers: Mapping[str, Callable], persistent: Callable, most_bytes: int):
    r"""The object of a pickle.

    makers: by path, the functions of ours that stand for what the pickle calls (tensors, ordered dictionaries); all
    other calls make an `Inert`. persistent: what stands for a persistent id. most_bytes: of memory for all objects.
    Raises Refused.

    >>> load(b"\x80\x02}X\x06\0\0\0epochsK\x0as.", {}, None, 1_000_000)
    {'epochs': 10}
    """
    return _Machine(makers, persistent, most_bytes).run(pickle)


class _Machine:
    def __init__(self, makers, persistent, most_bytes):
        self.makers, self.persistent, self.left = makers, persistent, most_bytes
        self.stack, self.marks, self.memo, self.names = [], [], {}, {}

    def run(self, pickle):
        at = 0
        try:
            for op, arg, place in pickletools.genops(pickle):
                at = place
                self.left -= OVERHEAD + (sys.getsizeof(arg) if isinstance(arg, str | bytes | bytearray) else 0)
                if self.left < 0:
                    raise Refused("it makes more objects than a file of this size should need")
                if op.name == "STOP":
                    return self.pop()
                step = getattr(self, "op_" + op.name, None)
                if step is not None:
                    step(arg)
                elif op.name in LITERALS:
                    self.stack.append(arg)
                elif op.name in CONSTANTS:
                    self.stack.append(CONSTANTS[op.name]())
                elif op.name not in NOTHING:
                    raise Refused(f"its operation {op.name} is none that torch.save writes")
        except Refused as e:
            raise Refused(f"byte {at} of the pickle: {e}") from None
        except (ValueError, OverflowError, UnicodeError) as e:  # of genops: unknown or cut off operations
            raise Refused(f"after byte {at} of the pickle: {str(e)[:200]}") from None
        raise Refused("the pickle does not end")

    # ---- the stack ----

    def pop(self):
        if not self.stack or (self.marks and len(self.stack) <= self.marks[-1]):
            raise Refused("it takes an object that is not there")
        return self.stack.pop()

    def top(self, *kinds):
        if not self.stack or (self.marks and len(self.stack) <= self.marks[-1]):
            raise Refused("it changes an object that is not there")
        if not isinstance(self.stack[-1], kinds):
            raise Refused(f"it changes {self.what(self.stack[-1])}, which cannot be changed so")
        return self.stack[-1]

    def pop_mark(self):
        if not self.marks:
            raise Refused("it ends a group that was not begun")
        begin = self.marks.pop()
        group = self.stack[begin:]
        del self.stack[begin:]
        return group

    @staticmethod
    def what(thing):
        return f"an object of {thing.path}" if isinstance(thing, Inert) else f"a {type(thing).__name__}"

    def key(self, key, depth=0):
        if isinstance(key, tuple):
            if depth == DEEPEST_KEY:
                raise Refused("a key is nested too deeply")
            for part in key:
                self.key(part, depth + 1)
        elif not isinstance(key, str | bytes | int | float | complex | Inert | Name | None):
            raise Refused(f"{self.what(key)} as a key")
        return key

    def op_MARK(self, _):
        self.marks.append(len(self.stack))

    def op_POP(self, _):
        if self.marks and len(self.stack) == self.marks[-1]:
            self.marks.pop()
        else:
            self.pop()

    def op_POP_MARK(self, _):
        self.pop_mark()

    def op_DUP(self, _):
        self.stack.append(self.top(object))

    # ---- the memo ----

    def op_BINPUT(self, index):
        self.memo[index] = self.top(object)

    op_LONG_BINPUT = op_BINPUT

    def op_MEMOIZE(self, _):
        self.memo[len(self.memo)] = self.top(object)

    def op_BINGET(self, index):
        if index not in self.memo:
            raise Refused(f"it takes object {index}, which it has not kept")
        self.stack.append(self.memo[index])

    op_LONG_BINGET = op_BINGET

    # ---- collections ----

    def op_TUPLE(self, _):
        self.stack.append(tuple(self.pop_mark()))

    def op_TUPLE1(self, _):
        self.stack.append((self.pop(),))

    def op_TUPLE2(self, _):
        b, a = self.pop(), self.pop()
        self.stack.append((a, b))

    def op_TUPLE3(self, _):
        c, b, a = self.pop(), self.pop(), self.pop()
        self.stack.append((a, b, c))

    def op_LIST(self, _):
        self.stack.append(self.pop_mark())

    def op_DICT(self, _):
        group = self.pop_mark()
        self.stack.append({})
        self.set_items(group)

    def op_FROZENSET(self, _):
        self.stack.append(frozenset(self.key(k) for k in self.pop_mark()))

    def op_APPEND(self, _):
        value = self.pop()
        self.append([value])

    def op_APPENDS(self, _):
        self.append(self.pop_mark())

    def append(self, values):
        to = self.top(list, Inert)
        (to if isinstance(to, list) else to.entries).extend(values)

    def op_ADDITEMS(self, _):
        group = [self.key(k) for k in self.pop_mark()]
        self.top(set).update(group)

    def op_SETITEM(self, _):
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def op_SETITEMS(self, _):
        self.set_items(self.pop_mark())

    def set_items(self, group):
        to = self.top(dict, Inert)
        if len(group) % 2:
            raise Refused("a key without a value")
        to = to if isinstance(to, dict) else to.items
        for key, value in zip(group[::2], group[1::2], strict=True):
            to[self.key(key)] = value

    # ---- objects ----

    def op_GLOBAL(self, arg):
        self.stack.append(self.name(arg.replace(" ", ".")))

    def op_STACK_GLOBAL(self, _):
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Refused("a name that is no text")
        self.stack.append(self.name(f"{module}.{name}"))

    def name(self, path):
        path = path.replace("__builtin__.", "builtins.", 1)
        return self.names.setdefault(path, Name(path))

    def op_REDUCE(self, _):
        args, what = self.pop(), self.pop()
        self.make(what, args)

    op_NEWOBJ = op_REDUCE

    def op_NEWOBJ_EX(self, _):
        named, args, what = self.pop(), self.pop(), self.pop()
        if named:
            raise Refused("an object made with named arguments")
        self.make(what, args)

    def make(self, what, args):
        if not isinstance(what, Name) or not isinstance(args, tuple):
            raise Refused(f"it calls {self.what(what)}")
        maker = self.makers.get(what.path)
        self.stack.append(maker(*args) if maker else Inert(what.path, args))

    def op_BUILD(self, _):
        state = self.pop()
        self.top(Inert, Ordered).state = state

    def op_BINPERSID(self, _):
        self.stack.append(self.persistent(self.pop()))


LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
CONSTANTS = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set,
}  # fmt: skip
NOTHING = {"PROTO", "FRAME"}
