"""A program of the official Python SDK: opens a session, asks the backend something, reports four kinds of events."""

import tinker

service = tinker.ServiceClient()
session = service.holder  # creates the session, which starts the telemetry
models = service.get_server_capabilities().supported_models
print("models:", *(model.model_name for model in models))

telemetry = session.get_telemetry()
for step in range(3):
    telemetry.log("train.step", {"step": step, "loss": 1.0 / (step + 1)})
try:
    raise RuntimeError("the loss is not a number")
except RuntimeError as error:
    telemetry.log_fatal_exception_sync(error, "CRITICAL")  # waits until all is sent
