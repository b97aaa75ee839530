"""The verbs whose calls fail, what is there before each, and what may be there after."""

from dataclasses import dataclass

SMALL = ("encoder.dim=8", "encoder.heads=2", "objective.maximum_length=8", "training.epochs=2")
STUDY = """
summary = "two widths"
source = "our own"
recipe = "sasrec-ce"
data = "log.csv"
overrides = ["encoder.heads=2", "objective.maximum_length=8", "training.epochs=1"]
against = "narrow"

[[rows]]
label = "narrow"
overrides = ["encoder.dim=4"]

[[rows]]
label = "wide"
overrides = ["encoder.dim=8"]
"""


@dataclass(frozen=True)
class Verb:
    """What is typed, and what may be there after a failure although it was not before."""

    words: tuple[str, ...]
    may_stay: tuple[str, ...] = ()
    """Parts of names: of a training its last epoch, of a search its finished trials, of lists their finished parts."""
    may_go_on: tuple[str, ...] = ()
    """What a verb can do without, and says so: parts of the names of the files."""
    goes_on: tuple[str, ...] | None = None
    """What is typed beside the same words to go on with what stayed."""
    own_process: bool = False
    """Whether a process of its own does the writing."""
    needs: tuple[str, ...] = ()
    """What has to be there before, beside what is typed."""


TRAIN = ("train", "sasrec-ce", "data=log.csv", *SMALL, "--out", "runs", "--seed", "7")
RANKINGS = ("study", "sampled-metrics", "one", "two", "--candidates", "uniform:3", "--out", "ranked")
REPRODUCE = ("reproduce", "synthetic", "--no-train", "--out", "reproduced")
EPOCH = ("checkpoint.safetensors",)
PARTS = (".partial/lists.",)
BEFORE = (  # as far as the verbs name these folders
    ("one", ("train", "sasrec-ce", "data=log.csv", *SMALL, "--out", "one", "--no-report")),
    ("two", ("train", "popularity", "data=log.csv", "--out", "two", "--no-report")),
    ("indexed", ("train", "sasrec-ce", "data=log.csv", *SMALL, "--out", "indexed", "--no-report")),
    ("indexed", ("index", "indexed", "--k", "1", "--recall", "0.1")),
    ("ready", ("prepare", "log.csv", "--out", "ready")),
    ("studied", ("study", "small.toml", "--out", "studied")),
    ("reproduced", ("train", "popularity", "data=synthetic", "--out", "reproduced", "--no-report")),
    ("reproduced", REPRODUCE),
    ("ranked", RANKINGS),
    ("state.nextitem", ("dump", "one", "--out", "state.nextitem")),
)
VERBS = {
    "prepare": Verb(("prepare", "log.csv", "filters.minimum_per_item=2", "filters.repeats=last", "--out", "new/one")),
    "train": Verb((*TRAIN, "--no-report"), EPOCH, goes_on=("--resume",)),
    "train, all": Verb(
        (*TRAIN, "--tracker", "tensorboard:told"),
        (*EPOCH, "told"),
        ("report.html", "told", "the tracker TensorBoard failed"),
    ),
    "report": Verb(("report", "one", "two", "--out", "page.html")),
    "report, new": Verb(("report", "one", "--out", "other.html")),
    "recommend, csv": Verb(("recommend", "one", "--users", "all", "--out", "lists.csv"), PARTS, goes_on=()),
    "recommend, jsonl": Verb(("recommend", "one", "--users", "all", "--out", "lists.jsonl"), PARTS, goes_on=()),
    "recommend, parquet": Verb(("recommend", "one", "--users", "all", "--out", "lists.parquet"), PARTS, goes_on=()),
    "study": Verb(("study", "small.toml", "--no-train", "--out", "studied")),
    "study, new": Verb(("study", "small.toml", "--no-train", "--runs", "studied", "--out", "elsewhere")),
    "study of rankings": Verb(RANKINGS),
    "reproduce": Verb(REPRODUCE),
    "tune": Verb(
        (
            "tune",
            "sasrec-ce",
            "data=log.csv",
            *SMALL,
            "--vary",
            "training.learning_rate=[0.01, 0.001]",
            "--trials",
            "2",
            "--out",
            "new",
        ),
        ("trials.log", "trial.safetensors"),
        goes_on=(),
    ),
    "compare": Verb(
        ("compare", "popularity", "one", "data=log.csv", "--out", "compared"),
        may_go_on=("report.html",),
        own_process=True,
    ),
    "evaluate": Verb(("evaluate", "one")),
    "check": Verb(("check", "ready")),
    "similar": Verb(("similar", "one", "i01", "i02")),
    "explain": Verb(("explain", "one", "--user", "u01")),
    "items": Verb(("items", "one", "--retire", "i03", "--rename", "i04=Four")),
    "index": Verb(("index", "one", "--k", "1", "--recall", "0.1")),
    "index, removed": Verb(("index", "indexed", "--remove"), needs=("indexed",)),
    "refit": Verb(("refit", "one", "--out", "refitted"), EPOCH),
    "update": Verb(("update", "one", "later.csv", "--replace-worse"), EPOCH),
    "forget": Verb(("forget", "one", "--user", "u01")),
    "export": Verb(("export", "one", "--out", "model.onnx", "--k", "5")),
    "dump": Verb(("dump", "one", "--out", "dumped.nextitem")),
    "restore": Verb(("restore", "state.nextitem", "--out", "restored"), needs=("one",)),
    "replay": Verb(("replay", "one", "--test", "--limit", "4")),
}
