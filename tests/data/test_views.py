"""Tests of views: the training examples that each data stream contains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiogan.data.views import Balanced, PerClass, Shard
from audiogan.errors import UserError


class Labelled:
    """A data set whose examples are their indices, with classes of unequal size in mixed order."""

    source = "numbers"

    def __init__(self, ids: Any, targets: Any, labels: tuple[str, ...] = ("a", "b", "c", "d", "e")) -> None:
        self.ids, self.targets, self.labels = np.asarray(ids), np.asarray(targets, np.int64), list(labels)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: np.ndarray) -> Labelled:
        return Labelled(self.ids[indices], self.targets[indices], tuple(self.labels))


@pytest.fixture
def data() -> Any:
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(5), [40, 10, 25, 7, 18]))
    return Labelled(np.arange(100), targets)


def test_as_many_of_each_class_whatever_the_data_has(data: Any) -> None:
    few = PerClass(7)(data)
    assert np.bincount(few.targets).tolist() == [7] * 5
    assert len(set(few.ids)) == 35 and (data.targets[few.ids] == few.targets).all()


def test_the_seed_decides_which_examples(data: Any) -> None:
    chosen = [set(PerClass(3, seed)(data).ids) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize(
    ("power", "counts"), [(1, [40, 10, 25, 7, 18]), (0.5, [40, 20, 25, 14, 18]), (0, [40, 40, 50, 42, 36])]
)
def test_rare_classes_are_met_more_often(data: Any, power: float, counts: list[int]) -> None:
    view = Balanced(power)(data)
    assert np.bincount(view.targets).tolist() == counts and set(view.ids) == set(range(100))


def test_balance_of_data_without_labels_changes_nothing() -> None:
    bare = Labelled(np.arange(9), [], ())
    assert Balanced()(bare) is bare
    with pytest.raises(ValueError, match="power=2"):
        Balanced(2)


@pytest.mark.parametrize(("by", "of"), [("label", 2), ("label", 5), ("random", 3), ("random", 7)])
def test_shards_together_are_all_and_share_nothing(data: Any, by: str, of: int) -> None:
    shards = [Shard(i, of, by)(data) for i in range(of)]
    assert sorted(np.concatenate([s.ids for s in shards])) == list(range(100))
    if by == "label":
        classes = [set(s.targets) for s in shards]
        assert sum(len(c) for c in classes) == 5 == len(set().union(*classes))
    else:
        sizes = [len(s) for s in shards]
        assert max(sizes) - min(sizes) <= 1
        assert all(len(set(s.targets)) > 1 for s in shards)


def test_ten_classes_for_four_are_neighbours() -> None:
    digits = Labelled(np.arange(10), np.arange(10), tuple("0123456789"))
    shards = [Shard(i, 4, "label")(digits).targets.tolist() for i in range(4)]  # type: ignore[arg-type]
    assert shards == [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9]]


def test_what_cannot_be_shared_is_said(data: Any) -> None:
    bare = Labelled(np.arange(4), [], ())
    for view, of, message in (
        (PerClass(8), data, "class 'd' has 7 training examples"),
        (PerClass(1), bare, "PerClass needs data with labels.*numbers"),
        (Shard(0, 2, "label"), bare, "by=label needs data with labels"),
        (Shard(0, 6, "label"), data, "5 classes cannot form 6 shards"),
        (Shard(0, 5, "random"), bare, "4 training examples cannot form 5 shards"),
    ):
        with pytest.raises(UserError, match=message):
            view(of)  # type: ignore[operator]
    for make, message in (
        (lambda: PerClass(0), "count=0"),
        (lambda: Shard(2, 2), "index=2.*count=2"),
        (lambda: Shard(0, 2, "class"), "by='class'"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
