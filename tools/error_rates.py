"""How often the paired test of `compare` finds a difference: where there is none, and where there is one.

    python tools/error_rates.py                     rates of false positives and of true ones, as tables in Markdown
    python tools/error_rates.py --comparisons 400   fewer comparisons of each setting, sooner

The world is that of tests/worlds/error_rates.py, whose short form the tests run.
"""

import argparse
import math
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from worlds.error_rates import LEVEL, METRICS, SEEDS, SPREADS, rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=2000, help="simulated comparisons of each setting")
    parser.add_argument("--gain", type=float, default=0.15, help="latent gain of the better model, for true positives")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for gain in (0.0, asked.gain):
        kind = f"true positives, latent gain {gain}" if gain else "false positives"
        error = math.sqrt(LEVEL * (1 - LEVEL) / asked.comparisons)
        print(f"\n{kind}, {asked.comparisons:,} comparisons a cell (standard error {error:.1%} at 5 %)\n")
        print(f"| seeds | {' | '.join(f'{metric}, {spread}' for spread in SPREADS for metric in METRICS)} |")
        print(f"|---|{'---|' * len(SPREADS) * len(METRICS)}", flush=True)
        for seeds in SEEDS:
            shares = [
                rate for spread in SPREADS for rate in rates(seeds, spread, asked.comparisons, gain).found.values()
            ]
            print(f"| {seeds[0]} : {seeds[1]} | {' | '.join(f'{100 * share:.1f}' for share in shares)} |", flush=True)


if __name__ == "__main__":
    main()
