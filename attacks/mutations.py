"""What damage and malice make of a file: bytes, members of archives whose checksums then fit again, values of JSON, attributes of ONNX."""

from __future__ import annotations

import copy
import io
import json
import re
import zipfile
from collections.abc import Callable
from random import Random

NUMBERS = (0, 1, -1, 2, 3, 7, 8, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30)
VALUES = (*NUMBERS, 0.5, -0.0, 1e308, 1e-320, True, False, None, "", "x", "\0", "\ud800", "x" * 1000, [], {}, [[]], [0], [1, 1], {"array": "x"})
TYPES = ("<f4", "<f8", "<f2", ">f4", "<i8", "|u1", "|b1", "<U3", "|S2", "|O", "<c8", "<M8[s]", "|V4", "[('a', '<f4')]")
Mutation = Callable[[Random, bytes], bytes]


def damaged(random: Random, data: bytes) -> bytes:
    """A few bytes, or parts, of another kind: as a disk, a cable or a patient stranger would."""
    found = bytearray(data)
    for _ in range(1 if random.random() < 0.5 else random.randint(2, 8)):
        random.choice(_OF_BYTES)(random, found)
    return bytes(found)


def _place(random: Random, data: bytearray) -> int:
    """The beginning, where headers are, as often as anywhere else."""
    return random.randrange(min(len(data), random.choice((64, 1 << 30)))) if data else 0


def _flip(random: Random, data: bytearray) -> None:
    if data:
        data[_place(random, data)] ^= 1 << random.randrange(8)


def _byte(random: Random, data: bytearray) -> None:
    if data:
        data[_place(random, data)] = random.choice((0, 1, 127, 128, 255, random.randrange(256)))


def _number(random: Random, data: bytearray) -> None:
    size, at = random.choice((2, 4, 8)), _place(random, data)
    data[at : at + size] = (random.choice(NUMBERS) % 256**size).to_bytes(size, random.choice(("little", "big")))


def _cut(random: Random, data: bytearray) -> None:
    del data[_place(random, data) :]


def _removed(random: Random, data: bytearray) -> None:
    at = _place(random, data)
    del data[at : at + random.choice((1, 2, 8, 100))]


def _repeated(random: Random, data: bytearray) -> None:
    at, size = _place(random, data), random.choice((1, 4, 16, 100))
    data[at:at] = data[at : at + size] * random.choice((1, 2, 50))


def _foreign(random: Random, data: bytearray) -> None:
    at = _place(random, data)
    data[at:at] = bytes(random.randrange(256) for _ in range(random.choice((1, 4, 32))))


def _moved(random: Random, data: bytearray) -> None:
    there, here, size = _place(random, data), _place(random, data), random.choice((1, 4, 16, 64))
    data[there : there + size] = data[here : here + size]


_OF_BYTES = (_flip, _flip, _byte, _number, _cut, _removed, _repeated, _foreign, _moved)


def damaged_text(random: Random, data: bytes) -> bytes:
    """As `damaged`, or with other numbers, brackets and quotes."""
    if random.random() < 0.4:
        return damaged(random, data)
    text = data.decode("utf-8")
    for _ in range(random.randint(1, 3)):
        words = [*re.finditer(r"[\w.+-]+|[^\w\s]", text)]
        word = random.choice(words)
        other = random.choice(
            (str(random.choice(VALUES)), "[" * random.choice((1, 5000)), "]", "{", '"""', "=", "nan", "inf", "1e999", "9" * 5000, "\0")
        )
        text = text[: word.start()] + (other if random.random() < 0.7 else random.choice(words).group()) + text[word.end() :]
    return text.encode("utf-8", "surrogatepass")


def rewritten_archive(random: Random, data: bytes) -> bytes:
    """A zip archive of arrays whose checksums fit: another header, other bytes, other names, a member less or twice, deflated."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at = random.randrange(len(members))
    name, content = members[at]
    kind = random.random()
    if kind < 0.6:
        members[at] = (name, _other_header(random, content))
    elif kind < 0.8:
        members[at] = (name, damaged(random, content))
    elif kind < 0.87:
        members[at] = (random.choice(("y.npy", "x", "../x.npy", "\0.npy", "x_test.npy", "manifest.npy", name + "\u202e")), content)
    elif kind < 0.93:
        del members[at]
    else:
        members.append(random.choice(members))
    return _archive(members, zipfile.ZIP_DEFLATED if random.random() < 0.3 else zipfile.ZIP_STORED)


def _archive(members: list[tuple[str, bytes]], compression: int) -> bytes:
    out, seen = io.BytesIO(), set()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members:
            if name in seen:  # a member twice: zipfile would warn
                archive.NameToInfo.pop(name, None)
            seen.add(name)
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return out.getvalue()


def _other_header(random: Random, content: bytes) -> bytes:
    """A .npy with another type, shape, order or version in its header."""
    size = int.from_bytes(content[8:10], "little")
    header = content[10 : 10 + size].decode("latin-1")
    kind = random.random()
    if kind < 0.35:
        header = re.sub(r"\d+(?=[,)])", lambda found: str(random.choice(NUMBERS)) if random.random() < 0.5 else found.group(), header)
    elif kind < 0.6:
        header = re.sub(r"'descr': '[^']*'", f"'descr': {random.choice((*map(repr, TYPES), *TYPES[-1:]))}", header)
    elif kind < 0.7:
        header = header.replace("False", random.choice(("True", "None", "1", "[]")))
    else:
        header = damaged(random, header.encode("latin-1")).decode("latin-1")
    raw = header.strip(" \n").encode("latin-1") + b"\n"
    return content[:6] + bytes((random.choice((1, 1, 1, 2, 3, 9)), 0)) + len(raw).to_bytes(2, "little") + raw + content[10 + size :]


def rewritten_json(member: str) -> Mutation:
    """An .npz whose member `member`, JSON as bytes, has other values in it; its checksum fits."""

    def mutation(random: Random, data: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        content = members[member]
        begin = 10 + int.from_bytes(content[8:10], "little")
        text = json.dumps(other_values(random, json.loads(content[begin:]))).encode()
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(text)},), }}".ljust(117).encode() + b"\n"
        members[member] = content[:8] + len(header).to_bytes(2, "little") + header + text
        return _archive([*members.items()], zipfile.ZIP_STORED)

    return mutation


def other_values(random: Random, tree: object) -> object:
    """JSON with one to three of its values replaced, removed, repeated, or moved to another place."""
    tree = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 2, 3))):
        places = [*_places(tree)]
        if not places:
            break
        holder, key = random.choice(places)
        kind, value = random.random(), holder[key]
        if kind < 0.4:
            holder[key] = copy.deepcopy(random.choice(VALUES))
        elif kind < 0.6 and isinstance(value, (int, float)) and not isinstance(value, bool):
            holder[key] = random.choice((value + 1, value - 1, -value, value * 2, value * 2**31))
        elif kind < 0.75:
            other, name = random.choice(places)
            holder[key] = copy.deepcopy(other[name])
        elif kind < 0.85 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(value))
        else:
            del holder[key]
    return tree


def _places(tree: object):
    """(holder, key) of every value."""
    if isinstance(tree, (dict, list)):
        for key, value in [*tree.items()] if isinstance(tree, dict) else enumerate(tree):
            yield tree, key
            yield from _places(value)
