"""How sampled and full ranking order the same finished runs, as Markdown: the section of docs/results.md.

python tools/sampled_metrics.py runs/*-ml-1m --candidates popularity:100 uniform:100 --metric ndcg@10
"""

import argparse
import sys
from pathlib import Path

from nextitem.disagreement import Disagreement, compare_rankings
from nextitem.errors import NextitemError


def values(found: dict[str, Disagreement], metric: str) -> str:
    """One row per model, best by full ranking first; in brackets its place in each order."""
    first = next(iter(found.values()))
    rows = [f"| model | {metric} |" + "".join(f" {metric}[{text}] |" for text in found)]
    rows.append("|---|" + "---|" * (len(found) + 1))
    for place, (model, value) in enumerate(first.full.items(), 1):
        cells = [f"{value:.4f} ({place})"]
        for one in found.values():
            order = sorted(one.sampled, key=lambda name: -one.sampled[name])
            cells.append(f"{one.sampled[model]:.4f} ({order.index(model) + 1})")
        rows.append(f"| `{model}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def orders(found: dict[str, Disagreement]) -> str:
    """One row per kind of candidates: how far its order is the full one, and which pairs it flips."""
    rows = [
        "| candidates | Kendall's τ (95 % interval) | pairs flipped | of these surely | which |",
        "|---|---|---|---|---|",
    ]
    for text, one in found.items():
        flipped = [pair for pair in one.pairs if pair.is_flipped]
        which = "; ".join(
            f"`{p.other}` over `{p.better}`: {-p.sampled:+.4f} ({-p.sampled_interval[1]:+.4f} – "
            f"{-p.sampled_interval[0]:+.4f}), full {-p.full:+.4f} ({-p.full_interval[1]:+.4f} – "
            f"{-p.full_interval[0]:+.4f})"
            for p in flipped
        )
        low, high = one.tau_interval
        sure = sum(pair.is_sure for pair in flipped)
        rows.append(
            f"| {text} | {one.tau:.2f} ({low:.2f} – {high:.2f}) | {len(flipped)} of {len(one.pairs)} | {sure} | "
            f"{which or '–'} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Read the runs and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--candidates", nargs="+", default=["popularity:100", "uniform:100"])
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--data", help="where the data is now, if not where it was")
    parser.add_argument("--seed", type=int, default=0, help="of the drawn candidates")
    asked = parser.parse_args()
    try:
        found = compare_rankings(asked.runs, asked.candidates, asked.metric, asked.data, asked.seed)
    except NextitemError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(values(found, asked.metric), orders(found), sep="\n\n")


if __name__ == "__main__":
    main()
