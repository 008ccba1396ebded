"""Rows of a comparison that nobody measured."""

from __future__ import annotations

from drawgrad.diagnostics import Estimate, Quality, Report, Verdict

__all__ = ["REPORT", "row"]


def row(name: str, verdict: Verdict = "biased", **changes: object) -> Quality:
    values: dict[str, object] = {
        "name": name,
        "claims_unbiased": False,
        "verdict": verdict,
        "bias": Estimate(0.1234, 0.0056),
        "bias_squared": Estimate(0.0152, 0.0014),
        "bias_limit": 0.2,
        "variance": Estimate(1.5, 0.03),
        "mean_squared_error": Estimate(1.515, 0.031),
        "cosine": Estimate(0.5, 0.01),
        "signal_to_noise": 0.8,
        "evaluations": 4,
        "seconds": 0.00123,
        "draws": 1000,
    }
    return Quality(**(values | changes))


REPORT = Report(
    rows=(row("A(tau=0.5)"), row("B", "none seen"), row("Longer name", "too few draws", seconds=2.5e-5)),
    reference="the exact gradient, by enumeration",
    reference_norm=Estimate(1.25, 0.0),
    parameters=12,
    draws=1000,
    resolution=0.1,
)
