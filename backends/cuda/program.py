"""One run of NVRTC, NVIDIA's runtime compiler: a kernel's source to machine code. Needs no GPU."""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from backends.cuda.bindings import nvrtc
from backends.cuda.cubin import Cubin
from domain.errors import DeviceError, DeviceNotFound


def package_version() -> str:
    """Such as "13.0.88": of the compiler's package, without loading the library, which takes 0.1 s.

    `cuda.bindings` looks for the library in that package first. Where it comes from elsewhere, the library
    itself is asked.

    Raises:
        DeviceNotFound: the compiler is not installed.
    """
    try:
        return metadata.version("nvidia-cuda-nvrtc")
    except metadata.PackageNotFoundError:
        return nvrtc_version()


def nvrtc_version() -> str:
    """Such as "13.0": of the library.

    Raises:
        DeviceNotFound: the compiler is not installed.
    """
    try:
        result = nvrtc.nvrtcVersion()
    except RuntimeError as exc:  # what cuda.bindings raises for a library that is not there
        raise DeviceNotFound(
            "the CUDA compiler library (libnvrtc.so.13) is not installed: pip install 'worker-orcd[cuda]'"
        ) from exc
    _, major, minor = result
    return f"{major}.{minor}"


def compile_kernel(
    *, file: str, text: str, name: str, headers: Mapping[str, str], options: Sequence[str]
) -> Cubin:
    """Compile the one kernel that the name expression `name` stands for.

    Machine code, not PTX: a driver loads code of any compiler of its major version, but no newer PTX.

    Raises:
        DeviceError: it does not compile; the message holds the compiler's log.
    """
    encoded_name = name.encode()
    header_texts = [header.encode() for header in headers.values()]
    header_names = [header.encode() for header in headers]
    program = _check(
        nvrtc.nvrtcCreateProgram(text.encode(), file.encode(), len(headers), header_texts, header_names)
    )
    try:
        _check(nvrtc.nvrtcAddNameExpression(program, encoded_name))
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
        log = _read(program, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog)
        log_text = log.decode(errors="replace").rstrip("\0\n ")
        if status:
            raise DeviceError(f"kernel {name} of {file} does not compile ({status.name}):\n{log_text}")
        symbol = _check(nvrtc.nvrtcGetLoweredName(program, encoded_name)).decode()
        image = _read(program, nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN)
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return Cubin(symbol, image, log_text)


def _read(program: Any, get_size: Any, get: Any) -> bytes:
    buffer = bytes(_check(get_size(program)))  # the binding writes into it
    _check(get(program, buffer))
    return buffer


def _check(result: tuple[Any, ...]) -> Any:
    status, *values = result
    if status:
        raise DeviceError(f"NVRTC: {status.name}")
    return values[0] if values else None
