"""Kernels of CUDA C++, compiled where they run by the NVRTC that comes with torch, and launched."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

import torch
from cuda.bindings import driver, nvrtc

_SHARED = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES


def attribute(name: str) -> int:
    """Of the first CUDA device, such as `MULTIPROCESSOR_COUNT`."""
    torch.cuda.init()
    device = _checked(driver.cuDeviceGet(0))
    which = getattr(driver.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
    return int(_checked(driver.cuDeviceGetAttribute(which, device)))


class CudaKernel:
    """A kernel of one cluster of blocks.

    Args:
        name: of the function, and of its file in `kernels/`.
        before: file that comes before it.
        constants: what it is compiled with, among them CLUSTER, the number of blocks, and SHARED,
            bytes of shared memory of each.
        threads: of a block.

    Raises:
        RuntimeError: it does not compile, or CUDA refused it.
    """

    def __init__(self, name: str, before: str, constants: Mapping[str, int], threads: int) -> None:
        torch.cuda.current_stream()  # makes the device's context current in this thread
        self._context = _checked(driver.cuCtxGetCurrent())
        image = _compiled(name, before, constants)
        self._module = _checked(driver.cuModuleLoadData(image))
        self._function = _checked(driver.cuModuleGetFunction(self._module, name.encode()))
        self._blocks, self._threads = constants["CLUSTER"], threads
        self._shared = constants["SHARED"]
        _checked(driver.cuFuncSetAttribute(self._function, _SHARED, self._shared))

    def launch(self, stream: int, values: tuple[int, ...], types: tuple[Any, ...]) -> None:
        """Launch it with arguments of these ctypes.

        Raises:
            RuntimeError: CUDA refused it.
        """
        _checked(driver.cuCtxSetCurrent(self._context))
        grid, block = (self._blocks, 1, 1), (self._threads, 1, 1)
        _checked(
            driver.cuLaunchKernel(
                self._function, *grid, *block, self._shared, stream, (values, types), 0
            )
        )


def _compiled(name: str, before: str, constants: Mapping[str, int]) -> bytes:
    folder = resources.files("tao_lora_ros.kernels")
    source = "".join((folder / f"{file}.cu").read_text() for file in (before, name))
    major, minor = torch.cuda.get_device_capability()
    options = [f"--gpu-architecture=sm_{major}{minor}", "--std=c++20"]
    options += [f"-D{key}={value}" for key, value in constants.items()]
    given = [option.encode() for option in options]
    program = _checked(nvrtc.nvrtcCreateProgram(source.encode(), name.encode(), 0, [], []))
    try:
        if nvrtc.nvrtcCompileProgram(program, len(given), given)[0]:
            log = bytes(_checked(nvrtc.nvrtcGetProgramLogSize(program)))
            _checked(nvrtc.nvrtcGetProgramLog(program, log))
            raise RuntimeError(f"the kernel does not compile here: {log.decode().strip(chr(0))}")
        image = bytes(_checked(nvrtc.nvrtcGetCUBINSize(program)))
        _checked(nvrtc.nvrtcGetCUBIN(program, image))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return image


def _checked(answer: tuple[Any, ...]) -> Any:
    code, *values = answer
    if code:
        raise RuntimeError(f"CUDA error: {code.name}")
    return values[0] if values else None
