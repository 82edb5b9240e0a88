//! The numbers of the fields, from `opentelemetry/proto` in <https://github.com/open-telemetry/opentelemetry-proto>.

/// `ExportLogsServiceRequest` of `collector/logs/v1/logs_service.proto`.
pub(crate) mod request {
    use super::super::Field;

    pub(crate) const RESOURCE_LOGS: Field = Field(1);
}

/// `ExportLogsServiceResponse` of `collector/logs/v1/logs_service.proto`.
pub(crate) mod response {
    use super::super::Field;

    pub(crate) const PARTIAL_SUCCESS: Field = Field(1);
}

/// `ExportLogsPartialSuccess` of `collector/logs/v1/logs_service.proto`.
pub(crate) mod partial_success {
    use super::super::Field;

    pub(crate) const REJECTED_LOG_RECORDS: Field = Field(1);
    pub(crate) const ERROR_MESSAGE: Field = Field(2);
}

/// `ResourceLogs` of `logs/v1/logs.proto`.
pub(crate) mod resource_logs {
    use super::super::Field;

    pub(crate) const RESOURCE: Field = Field(1);
    pub(crate) const SCOPE_LOGS: Field = Field(2);
}

/// `ScopeLogs` of `logs/v1/logs.proto`.
pub(crate) mod scope_logs {
    use super::super::Field;

    pub(crate) const SCOPE: Field = Field(1);
    pub(crate) const LOG_RECORDS: Field = Field(2);
}

/// `LogRecord` of `logs/v1/logs.proto`.
pub(crate) mod log_record {
    use super::super::Field;

    pub(crate) const TIME_UNIX_NANO: Field = Field(1);
    pub(crate) const SEVERITY_NUMBER: Field = Field(2);
    pub(crate) const SEVERITY_TEXT: Field = Field(3);
    pub(crate) const BODY: Field = Field(5);
    pub(crate) const ATTRIBUTES: Field = Field(6);
    pub(crate) const TRACE_ID: Field = Field(9);
    pub(crate) const SPAN_ID: Field = Field(10);
    pub(crate) const OBSERVED_TIME_UNIX_NANO: Field = Field(11);
    pub(crate) const EVENT_NAME: Field = Field(12);
}

/// `AnyValue` of `common/v1/common.proto`: one of these, or none for an empty value.
pub(crate) mod any_value {
    use super::super::Field;

    pub(crate) const STRING: Field = Field(1);
    pub(crate) const BOOL: Field = Field(2);
    pub(crate) const INT: Field = Field(3);
    pub(crate) const DOUBLE: Field = Field(4);
    pub(crate) const ARRAY: Field = Field(5);
    pub(crate) const KEY_VALUE_LIST: Field = Field(6);
}

/// `ArrayValue` of `common/v1/common.proto`.
pub(crate) mod array {
    use super::super::Field;

    pub(crate) const VALUES: Field = Field(1);
}

/// `KeyValueList` of `common/v1/common.proto`.
pub(crate) mod key_value_list {
    use super::super::Field;

    pub(crate) const VALUES: Field = Field(1);
}

/// `KeyValue` of `common/v1/common.proto`.
pub(crate) mod key_value {
    use super::super::Field;

    pub(crate) const KEY: Field = Field(1);
    pub(crate) const VALUE: Field = Field(2);
}

/// `InstrumentationScope` of `common/v1/common.proto`.
pub(crate) mod scope {
    use super::super::Field;

    pub(crate) const NAME: Field = Field(1);
    pub(crate) const VERSION: Field = Field(2);
}

/// `Resource` of `resource/v1/resource.proto`.
pub(crate) mod resource {
    use super::super::Field;

    pub(crate) const ATTRIBUTES: Field = Field(1);
}
