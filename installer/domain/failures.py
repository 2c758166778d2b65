"""Which failure to tell of, where several things were done at once."""

from __future__ import annotations

from collections.abc import Iterator

from installer.domain.errors import BeeyardError


def telling(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the failure of a group that says most: an error of ours, else the first."""
    leaves = list(_leaves(group))
    return next((error for error in leaves if isinstance(error, BeeyardError)), leaves[0])


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
