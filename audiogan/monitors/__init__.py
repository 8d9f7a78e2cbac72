"""Monitors detect failures of GAN training, such as mode collapse.

Rules read the logged metrics of a run. They are applied during training and, by ``audiogan doctor``, to finished logs.
"""

from __future__ import annotations

from audiogan.monitors.callback import Monitors
from audiogan.monitors.doctor import Diagnosis, diagnose, print_diagnosis
from audiogan.monitors.finding import Finding, read_findings, write_findings
from audiogan.monitors.guard import Guard
from audiogan.monitors.history import Curve, History, Missing
from audiogan.monitors.probe import Probe
from audiogan.monitors.watch import RULES, Rule, Watch

__all__ = ["RULES", "Curve", "Diagnosis", "Finding", "Guard", "History", "Missing", "Monitors", "Probe", "Rule"]
__all__ += ["Watch", "diagnose", "print_diagnosis", "read_findings", "write_findings"]
