"""Write model files of true size with random weights: `python -m tools.true_size NAME... --out DIR`."""

import argparse
import time
from pathlib import Path

from tools.true_size.model_shape import MODELS
from tools.true_size.writer import write_true_size


def main() -> None:
    """Write every model that is named."""
    parser = argparse.ArgumentParser(prog="python -m tools.true_size", description=__doc__)
    parser.add_argument("names", nargs="+", choices=MODELS, metavar="NAME", help=", ".join(MODELS))
    parser.add_argument("--out", type=Path, required=True, help="an existing directory")
    arguments = parser.parse_args()
    for name in arguments.names:
        path = arguments.out / MODELS[name].file_name
        start_s = time.perf_counter()
        write_true_size(path, MODELS[name])
        elapsed_s = time.perf_counter() - start_s
        print(f"{path}: {path.stat().st_size:,} bytes in {elapsed_s:.1f} s")


if __name__ == "__main__":
    main()
