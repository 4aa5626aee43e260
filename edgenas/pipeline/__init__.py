"""The story as functions, a module for every step.

train, profile, search, finetune, export, verify, baseline, report; tune before them, quickstart all of them. Each takes values
and returns what it found as a dataclass, judgement included. It prints nothing: progress is told to a `track`
(`edgenas.progress`), notes on the way to the logger `edgenas`.
"""
