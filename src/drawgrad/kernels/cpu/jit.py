"""Compilation of the kernels, with a cache on disk that can only ever save time.

Numba's own cache knows a kernel by the date of its file: it misses a change in another file that the kernel calls, and
installers give every version's files one date. Here the folder carries a digest of all kernel sources instead. A cache
that cannot be read or written is as good as none: the kernel is compiled again, which takes seconds.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

from drawgrad.kernels import philox

__all__ = ["device_function", "kernel"]

# Neither reassociation nor the absence of NaN and infinity may be assumed: rounding and NaN are part of the contract.
EXACT = {"contract", "nsz"}


@functools.cache
def _folder(room: Path) -> Path:
    """The cache of the kernels of a folder of sources, which may call each other and those that lie here."""
    digest = hashlib.sha256()
    # Reading fails where there are no sources; a folder without their digest could hold another version's kernels.
    rooms = dict.fromkeys((Path(__file__).parent, room))
    for source in (Path(philox.__file__), *(source for place in rooms for source in sorted(place.glob("*.py")))):
        digest.update(source.read_bytes())
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # Missing, empty, or invalid.
        base = Path.home() / ".cache"
    return base / "drawgrad" / "kernels" / digest.hexdigest()[:16]


class _Locator(_CacheLocator):
    def __init__(self, function: Callable[..., Any]) -> None:
        self._line = function.__code__.co_firstlineno
        self._folder = _folder(Path(function.__code__.co_filename).parent)

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return self._folder.name

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, function: Callable[..., Any], _file: str) -> _Locator:
        return cls(function)


class _Implementation(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # type: ignore[list-item]  # noqa: RUF012


class _Cache(FunctionCache):
    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # A damaged file can fail in any way while it is read.
            # An index that points to nothing lets the kernel be saved again.
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception:  # Read-only folder, full disk, damaged index.
            return


class _Vectorized(JITCodeLibrary):
    """Code in vectors as long as the processor has them. Compilers take half of 512 bits for most of them."""

    def add_ir_module(self, ir_module: Any) -> None:
        for function in ir_module.functions:
            # Not the method of the set of attributes, which knows no attributes of one target.
            set.add(function.attributes, '"prefer-vector-width"="512"')
        super().add_ir_module(ir_module)


class _Part(_Vectorized):
    """Code that only ever becomes a part of a kernel's, and is neither optimized nor made executable by itself.

    Doing that for each function that a kernel calls takes as long as all the rest.
    """

    def finalize(self) -> None:
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True


class _KernelCompiler(Compiler):
    def compile_extra(self, func: Callable[..., Any]) -> Any:
        self.state.library = _Vectorized(self.state.targetctx.codegen(), func.__qualname__)
        self.state.library.enable_object_caching()
        return super().compile_extra(func)


class _PartCompiler(Compiler):
    def compile_extra(self, func: Callable[..., Any]) -> Any:
        state = self.state
        state.library = _Part(state.targetctx.codegen(), func.__qualname__)
        state.flags.no_compile = True
        # Callers know a function by its entry, and this one has none: a bound method of a new object is as good.
        result = super().compile_extra(func)._replace(entry_point=[].clear)
        state.targetctx.insert_user_function(result.entry_point, result.fndesc, [result.library])
        return result


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function of numbers, addresses and arrays that runs without the interpreter lock; cached on disk.

    Numba counts references to arrays, at a few atomic operations a call, which is most of the time of a kernel that
    calls small functions all the time. Here nobody counts, so a kernel can make no arrays of its own.
    """
    dispatcher: Any = numba.njit(**_options(_KernelCompiler, EXACT))(function)
    with contextlib.suppress(OSError, RuntimeError):  # No home directory, no readable source.
        dispatcher._cache = _Cache(function)
    return dispatcher


def device_function(*flags: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function that kernels call, with further fast-math ``flags``. It becomes a part of each of them."""
    part: dict[str, Any] = {"forceinline": True, "no_cpython_wrapper": True}
    return numba.njit(**_options(_PartCompiler, EXACT | set(flags)), **part)


def _options(compiler: type[Compiler], fastmath: set[str]) -> dict[str, Any]:
    return {
        "pipeline_class": compiler,
        "nogil": True,
        "error_model": "numpy",
        "fastmath": fastmath,
        "_nrt": False,
        "no_cfunc_wrapper": True,
    }
