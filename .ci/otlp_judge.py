"""Compares requests to Tinker's backend with those to an OpenTelemetry collector: the classes of PyPI's
`opentelemetry-proto` must read in each `<n>.pb` what `<n>.json` says. Then, if an address is given, posts each to the collector
that listens there, which must take every record.

Usage: otlp_judge.py <folder> [<host>:<port>]
"""

import datetime
import http.client
import json
import pathlib
import sys
import uuid

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

SEVERITIES = {"DEBUG": 5, "INFO": 9, "WARNING": 13, "ERROR": 17, "CRITICAL": 21}
NAMES = {"SESSION_START": "session.start", "SESSION_END": "session.end", "UNHANDLED_EXCEPTION": "exception"}
RESERVED = {"session.id", "log.record.uid", "tinker.event.index", ""}
MAX_LEVELS = 30  # as `value::MAX_LEVELS`


def members(pairs):
    read = {pair.key: value(pair.value) for pair in pairs}
    assert len(read) == len(pairs), "a key is there twice"
    return read


def value(any_value):
    kind = any_value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [value(element) for element in any_value.array_value.values]
    if kind == "kvlist_value":
        return members(any_value.kvlist_value.values)
    return getattr(any_value, kind)


def expected(data, levels=MAX_LEVELS):
    """The data as OTLP has it: large integers as doubles, what is too deep as text."""
    if isinstance(data, (dict, list)) and levels == 0:
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    if isinstance(data, dict):
        return {key: expected(member, levels - 1) for key, member in data.items()}
    if isinstance(data, list):
        return [expected(element, levels - 1) for element in data]
    if isinstance(data, int) and not isinstance(data, bool) and not -(1 << 63) <= data < 1 << 63:
        return float(data)
    return data


def same(left, right):
    """Equal, and of one type: in Python 1, 1.0 and True are equal."""
    return repr(left) == repr(right) if not isinstance(left, dict) else (
        isinstance(right, dict) and left.keys() == right.keys() and all(same(left[key], right[key]) for key in left))


def nanoseconds(timestamp):
    time = datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    since = time - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def seconds(duration):
    hours, minutes, rest = duration.split(":")
    return (int(hours) * 3_600 + int(minutes) * 60) + float(rest)


def compare(event, record):
    attributes = members(record.attributes)
    uuid.UUID(attributes.pop("log.record.uid"))
    assert attributes.pop("tinker.event.index") == event["event_session_index"]
    assert (record.severity_number, record.severity_text) == (SEVERITIES[event["severity"]], event["severity"])
    assert record.time_unix_nano == record.observed_time_unix_nano == nanoseconds(event["timestamp"])
    name = NAMES.get(event["event"]) or event["event_name"]
    assert record.event_name == record.body.string_value == name
    if event["event"] == "GENERIC_EVENT":
        free = {f"data.{key}" if key in RESERVED else key: member for key, member in event["event_data"].items()}
        want = {key: expected(member) for key, member in free.items()}
    elif event["event"] == "SESSION_END":
        [(key, read)] = attributes.items()
        assert key == "tinker.session.duration" and abs(read - seconds(event["duration"])) < 1e-5
        want = attributes
    elif event["event"] == "UNHANDLED_EXCEPTION":
        parts = {"type": "error_type", "message": "error_message", "stacktrace": "traceback"}
        want = {f"exception.{key}": event[field] for key, field in parts.items()}
    else:
        want = {}
    assert same(attributes, want), f"{attributes}\n{want}"


def judge(folder):
    records = json_bytes = otlp_bytes = 0
    for file in folder.glob("*.json"):
        sent, body = json.loads(file.read_bytes()), file.with_suffix(".pb").read_bytes()
        [logs] = ExportLogsServiceRequest.FromString(body).resource_logs
        [scope] = logs.scope_logs
        resource = members(logs.resource.attributes)
        assert resource["session.id"] == sent["session_id"]
        assert resource["service.name"] == "judged" and resource["service.instance.id"] == sent["process_uuid"]
        assert len(scope.log_records) == len(sent["events"])
        for event, record in zip(sent["events"], scope.log_records):
            compare(event, record)
        records += len(sent["events"])
        json_bytes, otlp_bytes = json_bytes + file.stat().st_size, otlp_bytes + len(body)
    print(f"{records} records are equal; the bodies have {otlp_bytes / json_bytes:.2f} of the JSON's size")
    return records


def post_all(folder, address):
    connection = http.client.HTTPConnection(address, timeout=30)
    for file in folder.glob("*.pb"):
        connection.request("POST", "/v1/logs", file.read_bytes(), {"content-type": "application/x-protobuf"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (file.name, answer.status, body)
        rejected = ExportLogsServiceResponse.FromString(body).partial_success
        assert rejected.rejected_log_records == 0, rejected


if __name__ == "__main__":
    requests = pathlib.Path(sys.argv[1])
    assert judge(requests) > 0
    if len(sys.argv) > 2:
        post_all(requests, sys.argv[2])
