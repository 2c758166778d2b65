"""The page on filters is made from the tables."""

from __future__ import annotations

from pathlib import Path

from installer.domain.flows.where.fields import FIELDS
from installer.domain.flows.where.reference import reference_page


def test_the_page_is_up_to_date() -> None:
    page = Path("docs/observe-filters.md").read_text(encoding="utf-8")
    assert page == reference_page(), "run scripts/gen_filter_docs"


def test_every_field_is_on_it() -> None:
    page = reference_page()
    for field in FIELDS.values():
        assert f"`{field.name.removeprefix('src.').removeprefix('dst.')}`" in page
