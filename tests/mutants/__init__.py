"""Breaks each promise on purpose, and sees its tests go red: ``python -m tests.mutants [--jobs N] [ID ...]``.

A test that stays green while the promise that it names is broken holds nobody to anything. So for each id of
``tests/requirements.py`` there is a small fault in the client, and in a copy of the tree with that fault the tests that
name the id must fail: those in ``tests/unit`` if they can, for they are quick, else any other.
"""

from ._faults import FAULTS, Fault

__all__ = ["FAULTS", "Fault"]
