"""Metrics, their intervals, and calibration."""
