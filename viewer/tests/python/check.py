"""Keeps the official Python SDK in sight: its telemetry is shown as it was sent, its other calls reach the backend.

Runs `train.py` under the viewer with a small backend behind it. Usage: check.py VIEWER
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KEY = "tml-secret-of-the-check"
SESSION = "session-of-the-check"
ANSWERS = {
    "/api/v1/client/config": {},
    "/api/v1/client/dynamic_config": {},
    "/api/v1/create_session": {"session_id": SESSION},
    "/api/v1/session_heartbeat": {},
    "/api/v1/get_server_capabilities": {"supported_models": [{"model_name": "small"}, {"model_name": "large"}]},
    "/api/v1/telemetry": {"status": "accepted"},
}


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests = []

    def answer(self):
        path = self.path.split("?")[0]
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.requests.append((path, self.headers.get("x-api-key"), body))
        known = ANSWERS.get(path)
        text = json.dumps({"detail": "Not Found"} if known is None else known).encode()
        self.send_response(404 if known is None else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def run(viewer, backend, kept):
    program = [sys.executable, str(Path(__file__).with_name("train.py"))]
    options = ["--exit", "--port", "0", "--keep", str(kept), "--forward", backend]
    environment = {**os.environ, "TINKER_API_KEY": KEY, "TINKER_TELEMETRY": "1"}
    environment.pop("TINKER_BASE_URL", None)
    return subprocess.run(
        [viewer, "run", *options, "--", *program], env=environment, capture_output=True, text=True, timeout=120
    )


def main():
    backend = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "run.jsonl")
        ran = run(sys.argv[1], f"http://127.0.0.1:{backend.server_port}", kept)
        assert ran.returncode == 0, ran.stderr
        text = kept.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    shown = [line for line in lines if "event" in line]
    others = [line["other"]["path"] for line in lines if "other" in line]

    assert "models: small large" in ran.stdout, "an answer that is not telemetry's comes through"
    assert {"/api/v1/create_session", "/api/v1/get_server_capabilities"} <= set(others), others

    kinds = [line["event"].get("event_name", line["event"]["event"]) for line in shown if line["session_id"] == SESSION]
    expected = {"SESSION_START": 1, "train.step": 3, "UNHANDLED_EXCEPTION": 1, "SESSION_END": 1}
    assert {kind: kinds.count(kind) for kind in expected} == expected, kinds

    bodies = [json.loads(body) for path, _, body in Backend.requests if path == "/api/v1/telemetry"]
    sent = [event for body in bodies for event in body["events"]]
    key = lambda event: event["event_id"]
    assert sorted((line["event"] for line in shown), key=key) == sorted(sent, key=key), "shown as the backend got it"
    assert all(line["status"] == 200 for line in shown)

    assert {got for _, got, _ in Backend.requests} == {KEY}, "the backend gets the program's key"
    assert KEY not in text + ran.stdout + ran.stderr, "the viewer keeps it out of file and terminal"
    print(f"the official SDK: {len(shown)} events shown, {len(others)} other requests passed on")


main()
