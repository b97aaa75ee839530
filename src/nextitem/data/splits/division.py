"""What the settings of every split have, and the facts that a recipe and a report ask of them."""

from abc import abstractmethod

from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Split, SplitFacts
from nextitem.settings.configuration import Configuration


class Division(Configuration):
    """Settings of how a log is divided; an entry of the shelf states what is not so."""

    name: str
    """By which the split is chosen."""

    @property
    def asks_strangers(self) -> bool:
        """Whether validation or test is of users of whom no event is learnt, on purpose."""
        return False

    @property
    @abstractmethod
    def rule(self) -> str:
        """Which events are learnt from and which are asked for, in words: what a certificate says."""

    def as_learnt(self) -> "Division":
        """The same but for what concerns the test alone: with equal ones the same is learnt, and the same chooses."""
        return self

    def as_chosen(self) -> "Division":
        """The same, where what chooses follows what is asked written out: another test is then asked of the same."""
        return self

    @abstractmethod
    def split(self, sequences: Sequences, facts: SplitFacts | None = None) -> Split:
        """What may be learnt of a log, and the cases of it; `facts` about this very split spare reading all events.

        Raises DataError where a part would be empty.
        """

    @abstractmethod
    def describe(self) -> str:
        """What it is called at the beginning of a sentence."""
