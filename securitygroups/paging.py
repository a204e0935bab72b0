"""Pages of long lists: what is counted and leafed through has an end, or a page costs more with every row there is."""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

MOST = 10_000
"""Rows of a list that are counted, and on its pages. Nobody leafs further; a search or a filter finds the others."""


class BoundedPaginator(Paginator[Any]):
    """Django's for rows of the database, of which the first MOST count."""

    object_list: QuerySet[Any]

    @cached_property
    def _counted(self) -> int:
        # In no order: the database may stop as soon as it has seen so many.
        return self.object_list.order_by()[: MOST + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self._counted, MOST)

    def page(self, number: int | str) -> Page[Any]:
        page = super().page(number)
        if isinstance(page.object_list, QuerySet):
            # The keys first: what is joined to the rows need not be read for those before them.
            page.object_list = self.object_list.filter(pk__in=list(page.object_list.values_list("pk", flat=True)))
        return page

    @property
    def more(self) -> bool:
        """Whether there are rows behind the last page."""
        return self._counted > MOST


class UnevenPaginator(Paginator[Any]):
    """Pages that were cut already, each with its number of rows."""

    def __init__(self, pages: Sequence[Any], sizes: Sequence[int]) -> None:
        super().__init__(pages, 1)
        self.ends = [0, *accumulate(sizes)]

    @cached_property
    def num_pages(self) -> int:
        return max(1, len(self.object_list))

    @cached_property
    def count(self) -> int:
        return self.ends[-1]

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        return _Uneven(self.object_list[number - 1 : number], number, self)


class _Uneven(Page[Any]):
    paginator: UnevenPaginator

    def start_index(self) -> int:
        return self.paginator.ends[self.number - 1] + 1

    def end_index(self) -> int:
        return self.paginator.ends[min(self.number, len(self.paginator.ends) - 1)]
