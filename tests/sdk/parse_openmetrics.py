"""Reads an OpenMetrics exposition on standard input with the strict parser of prometheus-client.

Prints one line for each family (name, type, unit) and the number of samples last. An exposition
that is not OpenMetrics ends it with the parser's own complaint.
"""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

samples = 0
for family in text_string_to_metric_families(sys.stdin.buffer.read().decode("utf-8")):
    print(" ".join(filter(None, [family.name, family.type, family.unit])))
    samples += len(family.samples)
print(f"{samples} samples")
