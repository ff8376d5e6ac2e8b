"""The phrases that tell a class are the daemon's own, and what is sent for them means the same."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any, Dict, List

from conftest import REPOSITORY, binary

from brownout_reporter import _answer

SOURCE = (REPOSITORY / "src/domain/classify/message.rs").read_text()
LISTS = {
    name: tuple(re.findall(r'"([^"]+)"', items))
    for name, items in re.findall(r"^const (\w+): &\[&str\] =\s*&\[(.*?)\];", SOURCE, re.M | re.S)
}


def classes(rows: List[Dict[str, Any]]) -> List[str]:
    done = subprocess.run(
        [binary(), "classify"],
        input="\n".join(map(json.dumps, rows)),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [json.loads(line)["class"] for line in done.stdout.splitlines()]


def test_the_phrases_are_those_of_the_daemon() -> None:
    assert len(LISTS) == 9
    for name, phrases in LISTS.items():
        assert getattr(_answer, f"_{name}") == phrases, name


def test_a_stand_in_has_the_class_of_what_it_stands_for() -> None:
    said = [phrase for phrases in LISTS.values() for phrase in phrases]
    said += [f"Quota reached: 5 requests {window}" for window in LISTS["LONG_WINDOW"]]
    told: List[Dict[str, Any]] = []
    sent: List[Dict[str, Any]] = []
    for status in (200, 400, 429, 500, 503):
        for text in said:
            body = json.dumps({"error": {"message": f"Sorry:  {text.upper()} (x)"}})
            fields = _answer.error_body_fields(status, {}, body.encode())
            row = {"id": text, "provider": "other", "http_status": status}
            # An error with a good status comes inside a stream.
            where = "stream_event" if status == 200 else "body"
            told.append({**row, where: f"data: {body}\n\n" if status == 200 else body})
            stand_in = fields.get("body", '{"error":{}}')
            sent.append({**row, where: f"data: {stand_in}\n\n" if status == 200 else stand_in})
    expected, found = classes(told), classes(sent)
    assert len(expected) == len(found) == len(told)
    assert {"overloaded", "billing", "quota_exhausted", "auth", "unavailable"} <= set(expected)
    wrong = {
        (row["http_status"], row["id"]): (one, other)
        for row, one, other in zip(told, expected, found)
        if one != other
    }
    assert wrong == {}
