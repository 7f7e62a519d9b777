"""A compiled kernel: machine code for one architecture, and what the assembler said about it."""

import re
from dataclasses import dataclass

_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")
_ADVICE = r"ptxas info *: \(C\d+\)"  # such as C7515: products of a warpgroup that wait for each other
_WARNING = re.compile(rf": warning |ptxas warning|{_ADVICE}")


@dataclass(frozen=True, slots=True)
class Resources:
    """What one kernel takes, per thread; shared memory per block."""

    registers: int
    stack_bytes: int  # local memory, spilled registers included
    spill_bytes: int  # stores and loads
    shared_bytes: int  # static


@dataclass(frozen=True, slots=True)
class Cubin:
    """One kernel's machine code."""

    symbol: str  # the kernel's mangled name in the image
    image: bytes
    log: str  # of the compiler and, verbose, the assembler

    @property
    def warnings(self) -> list[str]:
        return [line for line in self.log.splitlines() if _WARNING.search(line)]

    @property
    def resources(self) -> Resources:
        """Read from the assembler's report; functions that were not inlined count with their kernel."""
        report = self._report()
        frames = [tuple(map(int, frame)) for frame in _FRAME.findall(report)]
        return Resources(
            registers=_first(_REGISTERS, report),
            stack_bytes=sum(stack for stack, _, _ in frames),
            spill_bytes=sum(stores + loads for _, stores, loads in frames),
            shared_bytes=_first(_SHARED, report),
        )

    def _report(self) -> str:
        """The part of the log about this kernel: a file's untemplated kernels are all compiled along."""
        for section in self.log.split("Compiling entry function ")[1:]:
            if section.startswith(f"'{self.symbol}'"):
                return section
        raise AssertionError(f"the assembler's log does not mention {self.symbol}: {self.log}")


def _first(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.search(text)
    return int(match[1]) if match else 0
