//! Where the examples report to: what the environment names, or else a collector of their own, which shows at the end
//! what it received.

use std::io;

use tinker_telemetry::Config;
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::Event;

pub struct Backend {
    collector: Option<Collector>,
}

impl Backend {
    pub fn start() -> io::Result<Self> {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let named = is_set("TINKER_API_KEY") || is_set("TINKER_BASE_URL");
        let collector = if named { None } else { Some(Collector::start()?) };
        Ok(Self { collector })
    }

    pub fn config(&self) -> Config {
        match &self.collector {
            Some(collector) => Config::new("tml-example").base_url(collector.url()),
            None => Config::from_env(),
        }
    }
}

/// Shows what came, after a panic too.
impl Drop for Backend {
    fn drop(&mut self) {
        let Some(collector) = &self.collector else { return };
        println!("\nreceived by the collector:");
        for event in collector.events() {
            let index = event.session_index();
            println!("{index:>3}  {:<8}  {:<22}  {}", event.severity(), event.name(), summary(&event));
        }
    }
}

fn summary(event: &Event) -> String {
    match event {
        Event::Generic(event) => serde_json::to_string(&event.event_data).unwrap_or_default(),
        Event::UnhandledException(event) => format!("{}: {}", event.error_type, event.error_message),
        Event::SessionEnd(event) => format!("after {:?}", event.duration),
        _ => String::new(),
    }
}
