"""The reference models on one CPU thread, as people run them: torch, ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.single_path import SinglePath, write_onnx
from tao_lora_ros.benchmarks.reference import Reference, windows


def _torch_call(module: Any) -> Callable[[NDArray[np.float32], Any], NDArray[np.float32]]:
    @torch.inference_mode()
    def call(inputs: NDArray[np.float32], paths: Any) -> NDArray[np.float32]:
        return module(torch.from_numpy(inputs))[0].numpy()

    return call


def torch_eager(model: Reference, batch: int) -> Any:
    """PyTorch, an operator at a time."""
    return _torch_call(SinglePath(model.full).eval())


def torch_compiled(model: Reference, batch: int) -> Any:
    """PyTorch through Inductor."""
    torch._dynamo.reset()
    return _torch_call(torch.compile(SinglePath(model.full).eval(), fullgraph=True, dynamic=False))


def onnxruntime_fp32(model: Reference, batch: int) -> Any:
    """ONNX Runtime on the exported graph."""
    with tempfile.TemporaryDirectory() as folder:
        return session(_export(model, batch, Path(folder)))


def onnxruntime_int4(model: Reference, batch: int) -> Any:
    """ONNX Runtime with its INT4 product (MatMulNBits, INT8 activations), a scale a column."""
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    with tempfile.TemporaryDirectory() as folder:
        file = _export(model, batch, Path(folder))
        quantizer = MatMulNBitsQuantizer(
            onnx.load(file),
            block_size=model.full.config.width,
            is_symmetric=True,
            accuracy_level=4,
        )
        quantizer.process()
        nodes = quantizer.model.model.graph.node
        if not any(node.op_type == "MatMulNBits" for node in nodes):
            raise RuntimeError("ONNX Runtime's quantiser changed nothing")
        quantizer.model.save_model_to_file(str(file), False)
        return session(file)


def _export(model: Reference, batch: int, folder: Path) -> Path:
    file = folder / "model.onnx"
    write_onnx(model.full, torch.from_numpy(windows(batch, 0)), file)
    return file


def session(file: Path) -> Any:
    """A graph of `write_onnx` in ONNX Runtime, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def call(inputs: NDArray[np.float32], paths: Any) -> Any:
        return session.run(None, {"windows": inputs})

    return call


CPU_PEERS = {
    "torch-eager-fp32": torch_eager,
    "torch-compile-fp32": torch_compiled,
    "onnxruntime-fp32": onnxruntime_fp32,
    "onnxruntime-int4": onnxruntime_int4,
}
