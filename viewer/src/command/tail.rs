//! Events in the terminal.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::{env, mem};

use serde_json::Value;

use super::start::{IfTaken, is_viewer, start};
use super::{Outcome, plain, say};
use crate::cli::{Serving, Severity, Tail};

pub fn tail(options: &Tail) -> Outcome {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let mut url = format!("http://{address}");
    // Kept alive to the end of this function; its threads serve.
    let _own = if is_viewer(address) {
        None
    } else {
        let serving = Serving {
            port: Some(options.port),
            listen: address.ip(),
            allow_host: Vec::new(),
            keep: None,
            forward: None,
        };
        let viewer = start(&serving, IfTaken::Fail)?;
        url = viewer.url();
        say(&format!("tinker-telemetry: waits for programs with TINKER_BASE_URL={url}"));
        Some(viewer)
    };
    let agent = ureq::Agent::from(ureq::Agent::config_builder().proxy(None).build());
    let answer = agent.get(format!("{url}/_viewer/live")).call()?;
    let mut output = Printer::new(options);
    for line in BufReader::new(answer.into_body().into_reader()).lines() {
        let Ok(line) = line else { break };
        let Some(line) = line.strip_prefix("data: ") else { continue };
        match output.line(line) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            done => done?,
        }
    }
    Err("the viewer is gone".into())
}

struct Printer<'a> {
    options: &'a Tail,
    colours: bool,
    /// The next number of each session and process: a jump is loss.
    next: HashMap<(String, String), u64>,
}

impl<'a> Printer<'a> {
    fn new(options: &'a Tail) -> Self {
        let colours =
            io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { options, colours, next: HashMap::new() }
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        let Ok(value) = serde_json::from_str::<Value>(line) else { return Ok(()) };
        let Some(event) = value.get("event").filter(|event| event.is_object()) else { return Ok(()) };
        let lost = self.lost(&value, event);
        if !self.is_wanted(event) {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if self.options.json {
            return writeln!(out, "{line}").and_then(|()| out.flush());
        }
        if lost > 0 {
            writeln!(out, "{:>12}  {lost} events never came", "…")?;
        }
        let severity = text(event, "severity");
        let colour = match Severity::from_wire(severity) {
            _ if !self.colours => "",
            Severity::Debug => "\x1b[2m",
            Severity::Info => "\x1b[36m",
            Severity::Warning => "\x1b[33m",
            Severity::Error | Severity::Critical => "\x1b[31m",
        };
        let end = if colour.is_empty() { "" } else { "\x1b[0m" };
        let time = text(event, "timestamp").get(11..23).unwrap_or_default();
        let retry = value["retry"].as_u64().map(|retry| format!("  (retry {retry})")).unwrap_or_default();
        writeln!(
            out,
            "{:>12}  {colour}{:<8}{end}  {}  {}  {}{retry}",
            plain(time),
            plain(severity),
            plain(text(&value, "session_id")),
            plain(name(event)),
            plain(&what(event)),
        )
    }

    fn is_wanted(&self, event: &Value) -> bool {
        let named = self.options.name.as_deref().is_none_or(|prefix| name(event).starts_with(prefix));
        let severe = self.options.min.is_none_or(|min| Severity::from_wire(text(event, "severity")) >= min);
        named && severe
    }

    /// How many numbers of its session were left out before this event.
    fn lost(&mut self, value: &Value, event: &Value) -> u64 {
        let Some(index) = event["event_session_index"].as_u64() else { return 0 };
        let key = (text(value, "session_id").into(), text(value, "process_uuid").into());
        let next = self.next.entry(key).or_insert(index);
        let expected = mem::replace(next, (*next).max(index + 1));
        index.saturating_sub(expected)
    }
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

fn name(event: &Value) -> &str {
    event["event_name"].as_str().unwrap_or_else(|| text(event, "event"))
}

fn what(event: &Value) -> String {
    if event["error_type"].is_string() {
        return format!("{}: {}", text(event, "error_type"), text(event, "error_message"));
    }
    match event.get("event_data") {
        Some(data) => data.to_string(),
        None => event
            .get("duration")
            .and_then(Value::as_str)
            .map(|took| format!("after {took}"))
            .unwrap_or_default(),
    }
}
