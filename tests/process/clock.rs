//! Keeps durations and deadlines on the monotonic clock. The wall clock jumps by a day, forward and back, and only the
//! timestamps of events follow. A process has one wall clock, so this binary has its own `clock_gettime` and one test.
#![cfg(all(target_os = "linux", feature = "collector"))]

#[path = "../support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use support::{LIMIT, SESSION, config};
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::event::Event;
use tinker_telemetry::{Reporter, Severity};

const DAY: i64 = 24 * 60 * 60;
/// Enough for a loaded machine, and far less than the day of a jump.
const SLACK: Duration = Duration::from_secs(10);

/// The seconds by which the wall clock is ahead.
static OFFSET: AtomicI64 = AtomicI64::new(0);

/// Replaces the function of the C library for all code of this program.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "a function of the C library, with a system call in it")]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    // SAFETY: this is the system call that the caller expects. On success it has written the time.
    unsafe {
        let answer = libc::syscall(libc::SYS_clock_gettime, clock, time);
        if answer == 0 && clock == libc::CLOCK_REALTIME {
            (*time).tv_sec += OFFSET.load(Ordering::Relaxed);
        }
        libc::c_int::try_from(answer).unwrap_or(-1)
    }
}

/// Lets the wall clock jump, and asserts that it did.
fn jump(days: i64) {
    let (before, since) = (SystemTime::now(), Instant::now());
    OFFSET.store(days * DAY, Ordering::Relaxed);
    let after = SystemTime::now();
    let jumped = after.duration_since(before).or_else(|_| before.duration_since(after)).unwrap();
    assert!(jumped > Duration::from_secs(12 * 60 * 60) && since.elapsed() < LIMIT, "{jumped:?}");
}

#[test]
fn only_timestamps_follow_a_jump_of_the_wall_clock() {
    let collector = Collector::start().unwrap();
    let reporter = Reporter::builder(config(&collector), SESSION)
        .enabled(true)
        .flush_interval(Duration::from_millis(50))
        .retry_base_delay(Duration::from_millis(100))
        .http_timeout(LIMIT)
        .start()
        .unwrap();
    let started = Instant::now();

    // The ticker is not affected, neither by a jump forward nor by one back.
    for (days, name) in [(1, "tomorrow"), (-1, "yesterday")] {
        jump(days);
        let known = collector.events().len();
        assert!(reporter.log(name, (), Severity::Info));
        let waited = Instant::now();
        collector.wait_for_events(known + 1, LIMIT);
        assert!(waited.elapsed() < SLACK, "{:?}", waited.elapsed());
    }

    // Nor is the wait for a retry, nor the timeout of a wait for an answer that does not come.
    jump(0);
    collector.answer(Answer::status(503));
    assert!(reporter.log("retried", (), Severity::Info));
    let waited = Instant::now();
    reporter.flush();
    jump(1);
    assert!(reporter.wait_until_drained(LIMIT));
    assert!(waited.elapsed() < SLACK, "{:?}", waited.elapsed());

    let hold = collector.hold_answers();
    assert!(reporter.log("held", (), Severity::Info));
    for days in [-1, 1] {
        let (waited, timeout) = (Instant::now(), Duration::from_millis(200));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| reporter.wait_until_drained(timeout));
            jump(days);
            assert!(!waiting.join().unwrap());
        });
        assert!(waited.elapsed() >= timeout && waited.elapsed() < timeout + SLACK, "{:?}", waited.elapsed());
    }
    drop(hold);
    assert!(reporter.stop(LIMIT));
    let lasted = started.elapsed();

    let events = collector.events();
    let day = |name: &str| {
        let Some(Event::Generic(event)) = events.iter().find(|event| event.name() == name) else {
            panic!("{name}")
        };
        let at = SystemTime::from(event.timestamp).duration_since(SystemTime::UNIX_EPOCH).unwrap();
        at.as_secs() / DAY.unsigned_abs()
    };
    assert_eq!(day("tomorrow"), day("yesterday") + 2);
    let Some(Event::SessionEnd(end)) = events.last() else { panic!("{events:?}") };
    assert!(end.duration <= lasted && end.duration + LIMIT > lasted, "{:?}", end.duration);
}
