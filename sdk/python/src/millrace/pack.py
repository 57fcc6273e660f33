"""MessagePack as the protocol has it: text as str, bytes as bin, integers exact, floats as float 64.

The one file that imports msgpack. Its C extension does the work; without it all is correct and ten times slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgpack


def new_packer() -> Callable[[Any], bytes]:
    """A function that packs one value after the other, with a buffer of its own: for one thread.

    It raises ValueError, TypeError or OverflowError for what MessagePack does not have. Tuples are lists; subclasses
    of dict and str are what they derive from.
    """
    return cast(Callable[[Any], bytes], msgpack.Packer(use_bin_type=True, autoreset=True).pack)


def pack(value: Any) -> bytes:
    """One value, for what is not done for each record."""
    return cast(bytes, msgpack.packb(value, use_bin_type=True))


def unpack(data: bytes) -> Any:
    """The one value of `data`. ValueError when it is malformed, is followed by more, or has extension types."""
    try:
        return msgpack.unpackb(data, raw=False, strict_map_key=False, ext_hook=_refuse)
    except ValueError:
        raise
    except Exception as error:  # msgpack's own: neither one class nor all of them ValueErrors
        raise ValueError(f"no MessagePack: {error}") from error


def list_header(size: int) -> bytes:
    """What stands in front of the packed elements of a list."""
    if size < 16:
        return bytes((0x90 | size,))
    if size < 1 << 16:
        return b"\xdc" + size.to_bytes(2, "big")
    return b"\xdd" + size.to_bytes(4, "big")


def map_header(size: int) -> bytes:
    """What stands in front of the packed keys and values of a small map. REQUIRES: size < 16."""
    return bytes((0x80 | size,))


def _refuse(code: int, _data: bytes) -> Any:
    raise ValueError(f"extension type {code}")
