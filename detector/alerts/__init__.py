"""Alerts: findings of one rule about one actor, grouped within a window, as absolute revisions."""
