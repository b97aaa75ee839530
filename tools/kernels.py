"""The numeric tests under other kernels of the libraries, and under other numbers of threads.

    python tools/kernels.py                  every setting, one after another; exits with 1 where a test fails
    python tools/kernels.py tests/model      fewer tests
    python tools/kernels.py --only MKL_CBWR=AVX2

A processor's kernels decide in which order products are added, and so their last bits. What a library was told by these
variables it computes as another machine would, as far as this one can. A setting that changes nothing here says so: the
bits of a few products are compared with those of the first.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ("tests/model", "tests/evaluation", "tests/training/test_fit.py", "tests/training/test_step.py",
         "tests/serving", "tests/studies/test_rankings.py", "tests/test_golden.py")  # fmt: skip
SETTINGS = (
    "OMP_NUM_THREADS=1",
    "OMP_NUM_THREADS=2",
    "OMP_NUM_THREADS=3",
    "MKL_CBWR=COMPATIBLE",
    "MKL_CBWR=AVX2",
    "MKL_ENABLE_INSTRUCTIONS=AVX2",
    "ATEN_CPU_CAPABILITY=default",
    "ATEN_CPU_CAPABILITY=avx2",
    "ONEDNN_MAX_CPU_ISA=SSE41",
    "ONEDNN_MAX_CPU_ISA=AVX2",
    "MKL_CBWR=AVX2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=2",
)
_BITS = """
import hashlib, torch
draws, found = torch.Generator().manual_seed(0), hashlib.sha256()
for rows, columns, width in ((1, 2, 64), (5, 4, 24), (33, 127, 50), (128, 3416, 64)):
    for dtype in (torch.float32, torch.float64):
        left, right = torch.randn(rows, width, generator=draws), torch.randn(columns, width, generator=draws)
        for made in (left.to(dtype) @ right.to(dtype).T, torch.nn.functional.linear(left.to(dtype), right.to(dtype)),
                     left.exp().sum(1), torch.softmax(left, 1), left.bfloat16() @ right.bfloat16().T):
            found.update(made.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
print(found.hexdigest())
"""


def surroundings(setting: str) -> dict[str, str]:
    """The environment under a setting; one thread where it says nothing of them, and several that wait asleep.

    Threads that wait busily take each other's cores: beside other work tests lasted ten times as long.
    """
    usual = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    return {**os.environ, **usual, **dict(pair.split("=", 1) for pair in setting.split())}


def bits(setting: str) -> str:
    """What a few products come to under a setting, hashed."""
    asked = [sys.executable, "-c", _BITS]
    return subprocess.run(asked, env=surroundings(setting), check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", default=TESTS, help="what pytest is to run")
    parser.add_argument("--only", action="append", help="one of the settings, or another one; may be repeated")
    asked = parser.parse_args()
    usual, failed = bits(SETTINGS[0]), []
    for setting in asked.only or SETTINGS:
        started, is_other = time.monotonic(), bits(setting) != usual
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *asked.tests]
        run = subprocess.run(command, cwd=ROOT, env=surroundings(setting), capture_output=True, text=True)
        counts = re.findall(r"\d+ (?:passed|failed|errors?)", run.stdout.splitlines()[-1] if run.stdout else "")
        if run.returncode:
            failed.append(setting)
        told = ", ".join(counts) or run.stderr.strip()[-200:]
        kind = "other bits" if is_other else "the usual bits"
        print(f"{setting}: {told}; {kind}, {time.monotonic() - started:.0f} s", flush=True)
        for line in re.findall(r"^(?:FAILED|ERROR) .*", run.stdout, re.MULTILINE):
            print(f"    {line}", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
