"""Mutate sound inputs: change their bytes, or their values in the terms of their format."""

import io
import json
import math
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 255, 256, 2**31, 2**63, 2**70, 0.5, -0.5, 1e308, math.inf, math.nan, "", " ", "0",
    "native", "..", "../../outside", "/tmp/outside", "C:\\outside", "a\0b", "a\nb", "\x1b[2J", "\u202egnp", "x" * 300,
    "$(touch outside)", "; touch outside", "-rf", "<script>alert(1)</script>", "ａ", "\udc80", [], {}, [[]], [None],
    {"": 0},
)  # fmt: skip
TOKENS = (
    b"", b"\0", b"\n", b"\r", b"\xff\xfe", b"\xef\xbb\xbf", b"'", b'"', b"{", b"[" * 3000, b"}", b",", b":", b"- ",
    b"&a ",
    b"*a", b"<<: *a\n", b"!!python/object/apply:os.system [id]", b"!!bool x", b"!!timestamp 2000-13-13", b"9" * 5000,
    b"1e999", b"NaN", b"-0", b"../", b"/", b"%n", b"\x80", b"\xed\xa0\x80", b"\xff" * 8, b"\x7f\xff\xff\xff",
    b"1.5", b"null",
)  # fmt: skip


LINES = (
    b"Range: bytes=0-0,-1", b"Range: bytes=9-1", b"Range: " + b"bytes=" + b"0-," * 500, b"If-Range: \xff",
    b"Content-Length: 0", b"Content-Length: 99999999999", b"Content-Length: \xb2", b"Content-Length: -1",
    b"Content-Type: multipart/form-data", b"Content-Type: multipart/form-data; boundary=" + b"x" * 300,
    b"Content-Type: multipart/form-data; boundary=x; charset=utf-99", b"Content-Type: text/plain; charset=\xff",
    b"Content-Type: application/x-www-form-urlencoded", b"Host: [", b"Host: evil.example", b"Host: localhost:99999999",
    b"Origin: null", b"Origin: http://[", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Cookie: a=\xff; b",
    b"Content-Encoding: gzip", b"Content-Disposition: form-data; name=image; filename=a.png",
    b"Content-Disposition: form-data; name*=utf-8''%ff", b"Content-Disposition: attachment", b"--x", b"--x--", b"",
    b"HEAD / HTTP/1.1", b"PUT /api/predict HTTP/1.1", b"GET /api/models/ HTTP/1.1", b"GET /../params.yaml HTTP/1.1",
    b"GET /?name=/etc/passwd HTTP/1.1", b"GET /?\xff HTTP/1.1", b"PUT /page.js?a=\xab HTTP/1.1",
    b"GET /%2e%2e/params.yaml?a=%00 HTTP/1.1", b"GET //evil.example/ HTTP/1.1", b"POST /api/predict?a=b HTTP/1.1",
)  # fmt: skip


def mutate_case(files: Mapping[str, bytes], rng: random.Random) -> dict[str, bytes]:
    """Return the files of a case with one to three changes: in contents for the most part, at times in names."""
    changed = dict(files)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if not changed:
            break
        name = rng.choice(sorted(changed))
        chance = rng.random()
        if chance < 0.04 and len(changed) > 1:
            del changed[name]
        elif chance < 0.08:
            other, content = _other_name(name, rng), changed[name] if rng.random() < 0.5 else changed.pop(name)
            # A file cannot have the name of a folder that is there.
            if not any(path.startswith(f"{other}/") for path in changed):
                changed[other] = content
        else:
            changed[name] = _mutate(name, changed[name], rng)
    return changed


def mutate_value(content: Any, rng: random.Random) -> Any:
    """Return a JSON value with one place in it changed, removed, repeated or replaced."""
    if isinstance(content, dict) and content and rng.random() < 0.85:
        key = rng.choice(sorted(content, key=str))
        if rng.random() < 0.08:
            return {k: v for k, v in content.items() if k != key}
        if rng.random() < 0.05:
            return {**content, str(rng.choice(VALUES)): rng.choice(VALUES)}
        return {**content, key: mutate_value(content[key], rng)}
    if isinstance(content, list) and content and rng.random() < 0.85:
        place = rng.randrange(len(content))
        if rng.random() < 0.1:
            return content[:place] + content[place:] * rng.choice((0, 2, 3))
        return [*content[:place], mutate_value(content[place], rng), *content[place + 1 :]]
    if isinstance(content, int | float) and not isinstance(content, bool) and rng.random() < 0.4:
        return rng.choice((content + 1, content - 1, -content, content * 1000, str(content), float(content)))
    if isinstance(content, str) and rng.random() < 0.3:
        return content + str(rng.choice(VALUES))
    return rng.choice(VALUES)


def _other_name(name: str, rng: random.Random) -> str:
    path = PurePosixPath(name)
    stem = rng.choice(
        ("a", "-rf", " ", "ａ", "x" * 200, "a;b", "$(id)", "a\nb", "a\x1b[2J", "..x", ".hidden", path.stem)
    )
    name = stem + rng.choice((path.suffix, path.suffix.upper(), ".png", ".jpg", ".txt", ""))
    # An earlier change may have left a name that is all dots.
    return str(path.with_name(name if name.strip(".") else "a"))


def _mutate(name: str, content: bytes, rng: random.Random) -> bytes:
    known = _BY_FORMAT.get(PurePosixPath(name).suffix)
    if known and rng.random() < 0.7:
        try:
            return known(content, rng)
        # An earlier change has left something that is no longer of the format.
        except Exception:
            return _mutate_bytes(content, rng)
    return _mutate_bytes(content, rng)


def _mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    length = rng.choice((1, 1, 2, 4, 16, 100))
    return rng.choice(
        (
            lambda: content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :],
            lambda: content[:place] + content[place : place + 1].translate(_flip(rng)) + content[place + 1 :],
            lambda: content[:place] + content[place + length :],
            lambda: content[:place],
            lambda: content[:place] + rng.choice(TOKENS) + content[place:],
            lambda: content[:place] + rng.choice(TOKENS) + content[place + length :],
            lambda: (
                content[:place] + content[place : place + length] * rng.choice((2, 3, 50)) + content[place + length :]
            ),
            lambda: content[:place] + rng.randbytes(length) + content[place + length :],
        )
    )()


def _flip(rng: random.Random) -> bytes:
    bit = 1 << rng.randrange(8)
    return bytes(value ^ bit for value in range(256))


def _mutate_json(content: bytes, rng: random.Random) -> bytes:
    return json.dumps(mutate_value(json.loads(content), rng)).encode("utf-8", "surrogatepass")


def _mutate_yaml(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        # The seeds are written as JSON, which is YAML too.
        return _mutate_json(content, rng)
    bomb = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]" for n in range(rng.choice((3, 12))))
    forms = (bomb, "&a [*a]", "a: &a {b: *a}", "- " * rng.choice((10, 5000)), "{" * 60_000, "? [a]\n: b", "<<: [1]")
    return rng.choice(forms).encode() + rng.choice((b"", b"\n" + content))


def _mutate_lines(content: bytes, rng: random.Random) -> bytes:
    lines = [line.split(b",") for line in content.split(b"\n")]
    line = rng.choice(lines)
    cell = rng.randrange(len(line))
    choice = rng.choice(VALUES)
    line[cell] = rng.choice((str(choice).encode("utf-8", "surrogatepass"), rng.choice(TOKENS), b"", line[cell] + b"x"))
    if rng.random() < 0.2:
        lines.append(list(line))
    return b"\n".join(b",".join(cells) for cells in lines)


def _mutate_http(content: bytes, rng: random.Random) -> bytes:
    # The body is of the same kind: its parts begin with headers of their own.
    lines = content.split(b"\r\n")
    place = rng.randrange(min(len(lines), 40))
    line, other = lines[place], rng.choice(LINES)
    name, _, value = line.partition(b":")
    strange = str(rng.choice(VALUES)).encode("utf-8", "replace")
    lines[place : place + 1] = rng.choice(
        ([], [line, line], [other], [line, other], [name + b": " + strange], [name + b":" + _mutate_bytes(value, rng)])
    )
    return b"\r\n".join(lines)


def _mutate_safetensors(content: bytes, rng: random.Random) -> bytes:
    (length,) = struct.unpack("<Q", content[:8])
    if rng.random() < 0.15:
        return struct.pack("<Q", rng.choice((0, 1, 2**31, 2**63, length + 1))) + content[8:]
    header = json.dumps(mutate_value(json.loads(content[8 : 8 + length]), rng)).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def _mutate_png(content: bytes, rng: random.Random) -> bytes:
    chunks, place = [], 8
    while place + 12 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    number = rng.randrange(len(chunks))
    kind, body = chunks[number]
    extra = rng.choice(
        ((b"acTL", b"\0\0\0\2\0\0\0\0"), (b"tEXt", b"a\0" + b"x" * 99), (b"eXIf", b"MM\0*" + rng.randbytes(40)))
    )
    chunks[number : number + 1] = rng.choice(
        ([], [(kind, body)] * 2, [extra, (kind, body)], [(kind, _mutate_bytes(body, rng))], [(rng.randbytes(4), body)])
    )
    packed = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
    return content[:8] + b"".join(packed)


def _mutate_zip(content: bytes, rng: random.Random) -> bytes:
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        chosen = rng.choice(old.namelist())
        for member in old.infolist():
            body = old.read(member)
            if member.filename == chosen:
                if rng.random() < 0.5:
                    member.filename = str(rng.choice(VALUES)).replace("\0", "") or "x"
                else:
                    member.external_attr = rng.choice((0o120777, 0o010777, 0o060777, 0o040777, 0)) << 16
            member.compress_type = rng.choice((0, 8, 12, 14))
            new.writestr(member, bytes(300_000) if rng.random() < 0.05 else body)
    return changed.getvalue()


def _mutate_tar(content: bytes, rng: random.Random) -> bytes:
    changed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as old, tarfile.open(fileobj=changed, mode="w") as new:
        members = old.getmembers()
        chosen = rng.choice(members)
        for member in members:
            body = old.extractfile(member) if member.isfile() else None
            if member is chosen:
                member.name = rng.choice((member.name, str(rng.choice(VALUES))))
                member.linkname = rng.choice(("", member.name, "../outside", "/etc/passwd", members[0].name))
                member.type = rng.choice((b"0", b"1", b"2", b"3", b"5", b"6", b"7", b"S", b"K", b"x"))
            new.addfile(member, body if member.isfile() else None)
    return changed.getvalue()


_BY_FORMAT: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".json": _mutate_json,
    ".yaml": _mutate_yaml,
    ".csv": _mutate_lines,
    ".txt": _mutate_lines,
    ".safetensors": _mutate_safetensors,
    ".png": _mutate_png,
    ".zip": _mutate_zip,
    ".http": _mutate_http,
    ".tar": _mutate_tar,
}
