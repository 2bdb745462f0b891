"""What `redshank init` writes: everything a kube-apiserver and redshank need to find and believe each other.

``data/`` holds what is the same for everybody, the audit policy first of all. ``deploy/kube-apiserver/`` shows what is
written for one cluster; a test keeps both equal.
"""

from __future__ import annotations
