"""A program that opens a device, leaves memory on it and closes it, three times."""

from backends.cuda.context import Context
from backends.cuda.memory import DeviceMemory
from ports.memory import MemoryClass


def main() -> None:
    """Print the bytes that are free at each opening."""
    for _ in range(3):
        context = Context.open(0)
        print(context.free_bytes())  # noqa: T201 # the test reads it
        DeviceMemory(context).allocate(MemoryClass.WEIGHTS, 2**30)
        context.close()


if __name__ == "__main__":
    main()
