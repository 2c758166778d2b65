"""Which failure to tell of, where several things were done at once."""

from __future__ import annotations

from collections.abc import Iterator

from installer.domain.errors import BeeyardError


def telling(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the failure of a group that says most: an error of ours, else the first."""
    failures = list(leaves(group))
    return next((error for error in failures if isinstance(error, BeeyardError)), failures[0])


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Return the failures of a group and of the groups in it, in order."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
