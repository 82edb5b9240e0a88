mod rss;

use std::time::Instant;

use opentelemetry::logs::{LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry_otlp::{LogExporter, Protocol, WithExportConfig};
use opentelemetry_sdk::logs::{BatchConfigBuilder, BatchLogProcessor, SdkLogger, SdkLoggerProvider};

fn main() {
    let (sink, full) = rss::task();
    let began = Instant::now();
    let exporter = LogExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("http://{sink}/v1/logs"))
        .build()
        .unwrap();
    let limits = BatchConfigBuilder::default().with_max_queue_size(10_000).build();
    let provider = SdkLoggerProvider::builder()
        .with_log_processor(BatchLogProcessor::builder(exporter).with_batch_config(limits).build())
        .build();
    let logger = provider.logger("peers");
    println!("start_us {}", began.elapsed().as_micros());
    if full {
        (0..10_000).for_each(|n| log(&logger, n));
        rss::print("full_rss");
    } else {
        log(&logger, 0);
        provider.force_flush().unwrap();
        rss::print("idle_rss");
    }
    std::process::exit(0);
}

fn log(logger: &SdkLogger, n: i64) {
    let mut record = logger.create_log_record();
    record.set_event_name("checkpoint.saved");
    record.set_severity_number(Severity::Info);
    record.add_attribute("step", n);
    record.add_attribute("loss", 0.4213);
    record.add_attribute("shard", "shard-eu-west-3".to_owned());
    logger.emit(record);
}
