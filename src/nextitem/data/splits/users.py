"""Some users are learnt from, and others asked about by their histories. U users."""

from typing import Literal

from pydantic import Field

from nextitem.data.sequences import Sequences
from nextitem.data.splits.division import Division
from nextitem.data.splits.held_out import drawn_users, without
from nextitem.data.splits.split import Split, SplitFacts, Views
from nextitem.data.splits.targets import IN_WORDS, Asked, Stretch
from nextitem.errors import DataError
from nextitem.words import counted

_VALIDATION, _TEST, _TESTED, _VALIDATED = 0, 1, 2, 3  # what is drawn by chance


class Users(Division):
    """Test and validation are of users of whom nothing is learnt: how well does the model serve whoever comes new?

    Who is asked about is drawn among the users with two events; all others are learnt from whole. A model with a vector
    for each user knows nobody here, and is refused.
    """

    name: Literal["users"] = "users"
    test_share: float = Field(0.1, gt=0.0, lt=1.0)
    """Share of the users with two events that the test asks about."""
    validation_share: float = Field(0.1, gt=0.0, lt=1.0)
    """Share of the others of them that validation asks about."""
    target: Literal["last", "random", "successive"] = "last"
    """Which events of such a user are targets, each after all before it: the `last`, a `random` one, or `successive`:
    every one but its first."""
    seed: int = Field(0, ge=0, lt=1 << 64)
    """Of the users that are held out, and of `random` targets."""

    @property
    def asks_strangers(self) -> bool:
        """Always."""
        return True

    @property
    def rule(self) -> str:
        """Which events are learnt from and which are asked for, in words."""
        return (
            f"users: {100 * self.test_share:g} % of the users are the test, {100 * self.validation_share:g} % of the "
            f"others validate (seed {self.seed}), and nothing is learnt of either; of each {IN_WORDS[self.target]}"
        )

    def describe(self) -> str:
        """What it is called at the beginning of a sentence."""
        return "Users held out"

    def split(self, sequences: Sequences, facts: SplitFacts | None = None) -> Split:
        """Split by users; `facts` about this very split spare reading all events.

        Raises DataError where no user with two events would be left in a part.
        """
        whole = Sequences.required(sequences)
        tested_U = drawn_users(whole, self.test_share, self.seed, _TESTED)
        rest = without(whole, tested_U)
        tested = counted(int(tested_U.sum()), "other")
        remedy = f"the test asks about {tested}: lower split.test_share, or take split=leave_one_out"
        validated_U = drawn_users(rest, self.validation_share, self.seed, _VALIDATED, remedy)
        train = without(rest, validated_U)
        if not int(train.lengths_U.sum()):
            raise DataError(
                f"of {counted(len(whole), 'user')} all would be asked about and nobody learnt from, so nothing can be "
                f"held out; lower split.test_share or split.validation_share"
            )
        validation = self._asked(whole.select(validated_U), _VALIDATION)
        test = self._asked(whole.select(tested_U), _TEST)
        short = int((whole.lengths_U == 1).sum())
        fact = counted(short, "user with one event is", "users with one event are")
        notes = (f"{fact} learnt from and never asked about",) if short else ()
        return Split.of(Views(train, rest, validation, test, self.rule, notes), facts)

    def _asked(self, histories: Sequences, part: int) -> Asked:
        return Stretch(histories, histories.starts_U, histories.stops_U).asked(self.target, self.seed, part)
