"""Alerts as other programs take them."""
