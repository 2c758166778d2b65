"""Verdicts as Cilium gives them, from policy objects alone: pure, no cluster needed.

``model`` says what is asked (who, to whom, which port), ``compile_*`` turn policy objects of each kind into ``Entry``s,
``engine`` answers. Rule numbers (R1 ...) in comments are those of ``docs/policy-semantics.md``.
"""
