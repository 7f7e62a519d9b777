"""Figures as the lines of one Markdown table, and as JSON."""

from bench.gpu.figure import Figure

HEADER = (
    "| model | what | measured | spread | of limit | llama.cpp | times llama.cpp |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
)
LEGEND = """\
Medians; spread: greatest less least, as a share of the median. load: bytes of the weights over the time of
`load_model`, memory, kernels and graphs included; upload: over that from before the first byte is read from
the page cache until the last one is on the device, and nothing else. start to ready: of a whole process,
kernels and Python's bytecode compiled before. Limits: of upload, the page-locked copy; of decode, the bytes
that a token must read at the measured read bandwidth; of tokens over HTTP, the backend alone, decoding at
128. llama.cpp's prompts of 4096 are of 2048; its settings: bench/gpu/peer.py."""


def table_row(model: str, figure: Figure) -> str:
    """One line."""
    cells = (
        model,
        figure.what,
        f"{_number(figure.median)} {figure.unit}",
        f"{100 * figure.spread:.1f} %",
        "" if figure.share_of_limit is None else f"{100 * figure.share_of_limit:.0f} %",
        "" if figure.peer is None else _number(figure.peer),
        "" if figure.times_peer is None else f"{figure.times_peer:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def as_json(figure: Figure) -> dict[str, object]:
    """One figure with all its samples."""
    return {
        "what": figure.what,
        "unit": figure.unit,
        "median": figure.median,
        "samples": list(figure.samples),
        "limit": figure.limit,
        "llama_cpp": figure.peer,
        "times_llama_cpp": figure.times_peer,
    }


def _number(value: float) -> str:
    """Three digits, or all before the point."""
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"
