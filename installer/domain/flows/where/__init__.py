"""The filter language of ``--where`` and of the cockpit's filter bar.

``compile_where`` turns a text into a test of flows and into what a server can do of it; ``complete`` continues a text.
The table of fields is in ``fields``; ``docs/observe-filters.md`` is made from it.
"""

from installer.domain.flows.where.complete import Completion, Vocabulary, complete
from installer.domain.flows.where.expression import Where, compile_where
from installer.domain.flows.where.fault import WhereError

__all__ = ["Completion", "Vocabulary", "Where", "WhereError", "compile_where", "complete"]
