"""Validates Kubernetes manifests against the schemas that their kinds have, unknown fields included.

Usage: manifests.py FILE...   Says what is wrong, a line each; exit code 1 if anything is.

The built-in kinds are held to the oldest and the newest Kubernetes that kubernetes-validate has
of those in use, ServiceMonitor and PrometheusRule to the Prometheus operator's own definitions as
cloudcoil's models carry them. Those models drop a field that they do not know, so what comes out
must be what went in.
"""

import sys

import cloudcoil.models.prometheus_operator.v1 as operator
import kubernetes_validate
import yaml

VERSIONS = ("1.29", kubernetes_validate.latest_version())
OPERATOR = "monitoring.coreos.com/v1"


def problems(manifest):
    """Yields what is wrong with one object."""
    kind = manifest.get("kind")
    if manifest.get("apiVersion") == OPERATOR:
        model = getattr(operator, kind).model_validate(manifest)
        kept = model.model_dump(by_alias=True, exclude_unset=True, mode="json")
        yield from lost(manifest, kept, kind)
        return
    for version in VERSIONS:
        kubernetes_validate.validate(manifest, version, strict=True)


def lost(given, kept, path):
    """Yields the fields that are in the first and not in the second."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key not in kept:
                yield f"{path}.{key}: unknown field"
            else:
                yield from lost(value, kept[key], f"{path}.{key}")
    elif isinstance(given, list) and isinstance(kept, list):
        for index, pair in enumerate(zip(given, kept)):
            yield from lost(*pair, f"{path}[{index}]")


def main(files):
    found = 0
    for file in files:
        with open(file, encoding="utf-8") as stream:
            manifests = [manifest for manifest in yaml.safe_load_all(stream) if manifest]
        if not manifests:
            print(f"{file}: empty")
            found += 1
        for manifest in manifests:
            try:
                said = list(problems(manifest))
            except Exception as error:  # each library has its own
                said = [" ".join(str(error).split())]
            for problem in said:
                print(f"{file}: {problem}")
                found += 1
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
