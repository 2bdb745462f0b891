"""Falco's rules for Kubernetes audit events → rules of ours, so that who has Falco's need not write them anew.

https://falco.org/docs/concepts/rules/ and the k8saudit and json plugins of https://github.com/falcosecurity/plugins.
`grammar` reads a condition, `reader` a rules file, `resolve` puts lists, macros and exceptions in their places,
`fields` says what Falco's fields are called here, `checks` and `detection` write Sigma, `convert` does all of it.
"""

from __future__ import annotations

from detector.sigma.falco.convert import Conversion, Converted, Refused, convert

__all__ = ["Conversion", "Converted", "Refused", "convert"]
