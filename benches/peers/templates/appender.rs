mod rss;

use std::fs::File;
use std::io::{self, Write};
use std::time::Instant;

fn main() {
    let (_, full) = rss::task();
    let began = Instant::now();
    let output: Box<dyn Write + Send> =
        if full { Box::new(Stalled) } else { Box::new(File::create("/dev/null").unwrap()) };
    let (writer, guard) = tracing_appender::non_blocking(output);
    tracing_subscriber::fmt().json().with_writer(writer).init();
    println!("start_us {}", began.elapsed().as_micros());
    if full {
        (0..10_000).for_each(log);
        rss::print("full_rss");
    } else {
        log(0);
        drop(guard);
        rss::print("idle_rss");
    }
    std::process::exit(0);
}

fn log(n: i64) {
    tracing::info!(step = n, loss = 0.4213, shard = "shard-eu-west-3", "checkpoint.saved");
}

/// A file system that hangs: this library's stalled server.
struct Stalled;

impl Write for Stalled {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        loop {
            std::thread::park();
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
