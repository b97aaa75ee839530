"""What this machine can do: rates of products, exponentials and copies with the threads in use, and its description.

The floor of an epoch with the softmax over the whole catalogue is the time of what cannot be left out: three products
of T positions with N items of width d, and one exponential a score. T target positions.
"""

import datetime
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch


def rate(work: Callable[[], object], amount: float, repeats: int) -> float:
    """`amount` a second, of the fastest of some runs; the first is not counted."""
    work()
    return amount / min(_seconds(work) for _ in range(repeats))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def product_rate(rows: int, inner: int, columns: int, dtype: torch.dtype = torch.float32, repeats: int = 2) -> float:
    """Floating-point operations a second of (rows × inner) · (inner × columns)."""
    left, right = torch.randn(rows, inner, dtype=dtype), torch.randn(inner, columns, dtype=dtype)
    out = torch.empty(rows, columns, dtype=dtype)
    return rate(lambda: torch.mm(left, right, out=out), 2.0 * rows * inner * columns, repeats)


def exponential_rate(function: Callable[..., torch.Tensor] = torch.exp, elements: int = 1 << 20) -> float:
    """Exponentials a second in fp32, of a tile that fits a cache."""
    values, out = -torch.rand(elements), torch.empty(elements)
    return rate(lambda: function(values, out=out), elements, 20)


def copy_rate(megabytes: int) -> float:
    """Bytes a second, read and written, of a copy."""
    source = torch.ones(megabytes * (1 << 20) // 4)
    target = torch.empty_like(source)
    return rate(lambda: target.copy_(source), 2.0 * 4 * len(source), 5)


def floor_rates(*, quick: bool) -> tuple[float, float]:
    """(operations a second of a square fp32 product, natural exponentials a second): what floors are made of."""
    side = 512 if quick else 4096
    return product_rate(side, side, side), exponential_rate()


def floor_seconds(positions: float, items: int, width: int, rates: tuple[float, float]) -> float:
    """6·T·N·d / products a second + T·N / exponentials a second."""
    return 6 * positions * items * width / rates[0] + positions * items / rates[1]


def calibration(*, quick: bool) -> list[tuple[str, str]]:
    """(what, rate in words) of everything that a step is made of."""
    side, tile, rows = (512, 256, 64) if quick else (4096, 2048, 768)
    products = {
        f"product {side} × {side} × {side}, fp32": (side, side, side, torch.float32),
        f"product {side} × {side} × {side}, bf16": (side, side, side, torch.bfloat16),
        f"scores of a tile: {tile} × 64 × {rows}, fp32": (tile, 64, rows, torch.float32),
        f"scores of a tile: {tile} × 64 × {rows}, bf16": (tile, 64, rows, torch.bfloat16),
        f"gradient of the states: 64 × {tile} × {rows}, fp32": (64, tile, rows, torch.float32),
        f"gradient of the table: {tile} × {rows} × 64, fp32": (tile, rows, 64, torch.float32),
    }
    found = []
    for name, (left, inner, right, dtype) in products.items():
        repeats = 2 if left == right else 50
        found.append((name, f"{product_rate(left, inner, right, dtype, repeats) / 1e9:,.0f} GFLOP/s"))
    found.append(("exp, fp32", f"{exponential_rate() / 1e9:.2f} billion a second"))
    found.append(("exp2, fp32", f"{exponential_rate(torch.exp2) / 1e9:.2f} billion a second"))
    found.append(("copy, read and written", f"{copy_rate(16 if quick else 256) / 1e9:.1f} GB/s"))
    return found


def description(threads: int) -> str:
    """Date, processor, versions, threads and what else was running."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {names[0] if names else platform.processor()}, "
        f"{os.cpu_count()} virtual cores, threads: {threads}, torch {torch.__version__}, "
        f"Python {platform.python_version()}, load at the start {os.getloadavg()[0]:.1f}"
    )
