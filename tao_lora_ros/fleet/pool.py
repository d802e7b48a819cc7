"""A function of many bags, here or by workers; a bag that fails is named and left out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from tao_lora_ros.fleet.errors import FleetError
from tao_lora_ros.fleet.workers import MOST_TRIES, Open, done
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.texts import MOST_LINE, shown

Bag = TypeVar("Bag")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Pool:
    """What does functions of many bags.

    Args:
        workers: opens what does them at the same time; None: this process, one bag after another.
        failed: reason by name of the bags that failed, which are not tried again.
    """

    workers: Open | None = None
    failed: dict[str, str] = field(default_factory=dict)

    def map(
        self, work: Callable[[Bag], Result], bags: Sequence[Bag]
    ) -> Iterator[tuple[Bag, Result]]:
        """Bags with what a function gives for them, in their order, without those that fail.

        Args:
            work: the function; picklable, as are the bags and the results.
            bags: their texts are what they are called.

        Raises:
            TaoLoraError: all of them failed; the first one's reason.
        """
        left = self.good(bags)
        tried = partial(_tried, work, left)
        if self.workers is None or not left:
            yield from self._good(left, map(tried, range(len(left))))
            return
        with self.workers(tried) as opened:
            yield from self._good(left, _in_order(done(opened, range(len(left)))))

    def good(self, bags: Iterable[Bag]) -> list[Bag]:
        """Those that have not failed."""
        return [bag for bag in bags if str(bag) not in self.failed]

    def first(self, work: Callable[[Bag], Result], bags: Sequence[Bag]) -> Result:
        """What a function gives for the first bag that does not fail, in this process.

        Raises:
            TaoLoraError: all of them failed; the first one's reason.
        """
        return next(Pool(None, self.failed).map(work, bags))[1]

    def _good(
        self, bags: Sequence[Bag], results: Iterable[_Tried[Result] | None]
    ) -> Iterator[tuple[Bag, Result]]:
        errors: list[Exception] = []
        for bag, tried in zip(bags, results, strict=True):
            if tried is not None and tried.error is None:
                yield bag, tried.result
                continue
            died = FleetError(f"{bag}: its worker died {MOST_TRIES} times")
            errors.append(died if tried is None else tried.error or died)
            self._leave_out(str(bag), str(errors[-1]), tell=len(bags) > 1)
        if bags and len(errors) == len(bags):
            raise errors[0]

    def _leave_out(self, bag: str, reason: str, tell: bool) -> None:
        self.failed[bag] = reason = " ".join(reason.split())
        named = reason if reason.startswith(bag) else f"{bag}: {reason}"
        if tell:
            print(shown(f"left out: {named}", MOST_LINE), file=sys.stderr)


@dataclass(frozen=True)
class _Tried(Generic[Result]):
    result: Result
    error: Exception | None = None


def _tried(work: Callable[[Bag], Result], bags: Sequence[Bag], at: int) -> _Tried[Any]:
    try:
        return _Tried(work(bags[at]))
    except (TaoLoraError, OSError) as error:
        return _Tried(None, error)
    except Exception as error:  # of one bag among thousands: the others go on
        fault = RuntimeError(f"{bags[at]}: {type(error).__name__}: {error}")
        fault.__cause__ = error
        return _Tried(None, fault)


def _in_order(finished: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    """The results of 0, 1, 2, …, each as soon as those before it are there."""
    waiting: dict[int, Result] = {}
    following = 0
    for number, result in finished:
        waiting[number] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1
