"""Compile the kernel for a GPU that is not here: `compile_kernels.py CAPABILITY MODEL SPLITS...`.

Prints a line of JSON for each: bytes of shared memory, of stack (spilled registers), and how many
tensor-core instructions there are.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tao_lora_ros.kernels.fused_launch import constants
from tao_lora_ros.kernels.fused_mixer import fused_mixer
from tao_lora_ros.kernels.mixer_tensors import Sizes

WARPS = 8
POINTERS = {
    "records": "*fp32",
    "outputs": "*i64",
    "seen": "*i64",
    "vectors": "*fp32",
    "codes8": "*i32",
    "codes4": "*i32",
    "adapters": "*fp16",
    "words": "*i64",
    "slots": "*i32",
}


REFERENCE = Sizes(
    window=128,
    tokens=16,
    channels=12,
    width=128,
    hidden=256,
    token_hidden=32,
    blocks=4,
    rank=8,
    labels=16,
    results=112,
    splits=1,
    segment=32,
)
MODELS = {
    "base": REFERENCE,
    "large": replace(REFERENCE, width=256, hidden=1024, token_hidden=64, blocks=6),
}


def main() -> None:
    """Compile a reference model with each number of splits."""
    capability, model, *all_splits = sys.argv[1:]
    for splits in map(int, all_splits):
        sizes = replace(MODELS[model], splits=splits)
        fixed = constants(sizes, WARPS)
        source = ASTSource(
            fn=fused_mixer,
            signature=POINTERS | dict.fromkeys(fixed, "constexpr"),
            constexprs=fixed,
            attrs={(i,): [["tt.divisibility", 16]] for i in range(len(POINTERS))},
        )
        kernel = triton.compile(
            source,
            target=GPUTarget("cuda", int(capability), 32),
            options={"num_warps": WARPS, "enable_fp_fusion": True},
        )
        print(
            json.dumps(
                {
                    "splits": splits,
                    "shared": kernel.metadata.shared,
                    "stack": stack(kernel.asm["cubin"]),
                    "tensor_core": kernel.asm["ptx"].count("mma.sync"),
                }
            )
        )


def stack(binary: bytes) -> int:
    """Bytes of stack of a compiled kernel, by NVIDIA's cuobjdump, which Triton carries."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        text = subprocess.check_output([tool, "-res-usage", file.name], text=True)
    found = re.search(r"STACK:(\d+)", text)
    assert found, text
    return int(found[1])


if __name__ == "__main__":
    main()
