"""A program that fills device 0 but for as many bytes as its argument says, until its input ends."""

import sys

from backends.cuda.context import Context
from backends.cuda.memory import DeviceMemory
from ports.memory import MemoryClass


def main() -> None:
    """Print a line once the memory is held."""
    context = Context.open(0)
    held_bytes = context.free_bytes() - int(sys.argv[1])
    DeviceMemory(context).allocate(MemoryClass.SCRATCH, held_bytes)
    print(held_bytes, flush=True)  # noqa: T201 # the test waits for it
    sys.stdin.read()
    context.close()


if __name__ == "__main__":
    main()
