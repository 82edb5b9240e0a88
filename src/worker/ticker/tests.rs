use super::*;

const INTERVAL: Duration = Duration::from_millis(2);

#[test]
fn ticks_come_again_and_again_no_sooner_than_the_interval() {
    let started = Instant::now();
    let mut ticker = Ticker::every(INTERVAL);
    for nth in 1..=5 {
        ticker.next.recv().unwrap();
        ticker.rearm();
        assert!(started.elapsed() >= INTERVAL * nth);
    }
}

#[test]
fn of_missed_ticks_one_is_due_at_once() {
    let interval = Duration::from_secs(1);
    let due = Instant::now().checked_sub(10 * interval).unwrap();
    let mut ticker = Ticker { next: never(), schedule: Some(Schedule { due, interval }) };
    ticker.rearm();
    assert!(ticker.next.try_recv().is_ok());
    ticker.rearm();
    assert!(ticker.next.try_recv().is_err());
}

#[test]
fn an_interval_that_no_clock_can_hold_never_ends() {
    assert!(Ticker::every(Duration::MAX).next.try_recv().is_err());
}
