"""Deployment: artifacts, export, quantizers, parity and the torch-free runtime."""
