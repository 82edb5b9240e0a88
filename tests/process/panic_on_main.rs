//! Keeps the panic hook's promises on the main thread. The test harness runs tests on other threads, so this file is a
//! program of its own. It starts itself again for each test.

use std::env;
use std::panic::catch_unwind;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tinker_telemetry::bridge::{self, FatalPanics};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::Event;
use tinker_telemetry::{Builder, Config, Reporter, Severity};

const LIMIT: Duration = Duration::from_secs(30);
/// The shutdown timeout where no answer comes. All other steps take less, on a slow machine too.
const WAIT: Duration = Duration::from_secs(4);

fn main() {
    if let Ok(scenario) = env::var("CHILD_SCENARIO") {
        return play(&scenario);
    }
    a_panic_on_the_main_thread_ends_the_session_and_waits();
    an_explicit_choice_keeps_the_session_alive_after_a_caught_panic_on_the_main_thread();
    without_an_answer_the_panic_and_the_drop_wait_once_together();
}

// The program that panics.

fn play(scenario: &str) {
    let url = env::var("CHILD_URL").unwrap();
    let builder = Reporter::builder(Config::new("tml-test").base_url(url), "session-0001").enabled(true);
    match scenario {
        "fatal" => fatal(builder),
        "chosen" => chosen(builder),
        "silent server" => silent_server(builder),
        _ => panic!("unknown scenario {scenario}"),
    }
}

fn fatal(builder: Builder) {
    let reporter = builder.shutdown_timeout(LIMIT).start().unwrap();
    bridge::install_panic_hook(&reporter);
    catch_unwind(|| panic!("loss is NaN")).unwrap_err();
    assert_eq!(reporter.stats().pending, 0, "the panic waits for its report");
    assert_eq!(reporter.stats().delivered, 3);
}

fn chosen(builder: Builder) {
    let reporter = builder.start().unwrap();
    bridge::install_panic_hook_with(&reporter, FatalPanics::Never);
    catch_unwind(|| panic!("loss is NaN")).unwrap_err();
    reporter.log("goes on", (), Severity::Info);
}

fn silent_server(builder: Builder) {
    let reporter = builder.shutdown_timeout(WAIT).http_timeout(LIMIT).start().unwrap();
    bridge::install_panic_hook(&reporter);
    let _dropped_by_the_panic = reporter;
    panic!("without an answer")
}

// The parent process.

fn run(scenario: &str, collector: &Collector) -> Output {
    Command::new(env::current_exe().unwrap())
        .envs([("CHILD_SCENARIO", scenario), ("CHILD_URL", &collector.url())])
        .output()
        .unwrap()
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(Event::name).collect()
}

fn a_panic_on_the_main_thread_ends_the_session_and_waits() {
    let collector = Collector::start().unwrap();
    let ended = run("fatal", &collector);
    assert!(ended.status.success(), "{ended:?}");
    let events = collector.events();
    assert_eq!(names(&events), ["SESSION_START", "UNHANDLED_EXCEPTION", "SESSION_END"]);
    let Event::UnhandledException(exception) = &events[1] else { unreachable!() };
    assert_eq!((exception.severity, exception.error_message.as_str()), (Severity::Critical, "loss is NaN"));
}

fn an_explicit_choice_keeps_the_session_alive_after_a_caught_panic_on_the_main_thread() {
    let collector = Collector::start().unwrap();
    let ended = run("chosen", &collector);
    assert!(ended.status.success(), "{ended:?}");
    let events = collector.events();
    assert_eq!(names(&events), ["SESSION_START", "UNHANDLED_EXCEPTION", "goes on", "SESSION_END"]);
}

fn without_an_answer_the_panic_and_the_drop_wait_once_together() {
    let collector = Collector::start().unwrap();
    let _hold = collector.hold_answers();
    let started = Instant::now();
    let ended = run("silent server", &collector);
    let elapsed = started.elapsed();
    assert_eq!(ended.status.code(), Some(101), "{ended:?}");
    assert!((WAIT..2 * WAIT).contains(&elapsed), "{elapsed:?}");
}
