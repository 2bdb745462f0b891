"""The rule language: Sigma v2.1 over Kubernetes audit events.

Loaded with pySigma, compiled here: `load` reads YAML, `translate` makes predicates of it, `closures` makes functions of
those, `compile` makes programs of many, `correlate` keeps windows, `engine` is the detector. `explain`, `lint` and
`selftest` serve rule authors.
"""
