"""The audit webhook: a kube-apiserver posts its batches here. Owns ``/audit`` and ``/audit/CLUSTER``."""

from __future__ import annotations

from detector.sources.webhook.auth import Answer
from detector.sources.webhook.body import Refusal
from detector.sources.webhook.server import Accept, Webhook
from detector.sources.webhook.settings import ClusterSettings, WebhookSettings

__all__ = ["Accept", "Answer", "ClusterSettings", "Refusal", "Webhook", "WebhookSettings"]
