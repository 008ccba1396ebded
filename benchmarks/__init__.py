"""Measurements of drawgrad, one script per question: ``python -m benchmarks.<name>`` writes ``results/<name>.json``."""
