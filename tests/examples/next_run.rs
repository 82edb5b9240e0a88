//! Keeps the example of the spool: the next run delivers what the first one kept, as it was.

use super::{example, run};

#[test]
fn the_next_run_shows_the_events_of_the_first_with_their_numbers_and_ids() {
    let ended = run(example(&["next_run"]));
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{}", ended.out);
    let (first, next) = ended.out.split_once("The next run: ").unwrap();
    assert!(first.contains(": telemetry: 5 offered, 0 delivered, 5 spooled\n"), "{first}");
    assert!(next.starts_with("telemetry: 2 offered, 2 delivered, 5 of earlier runs delivered\n"), "{next}");
    let events = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with(' ')).map(str::to_owned).collect()
    };
    assert_eq!(events(next), events(first));
    assert_eq!(events(first).len(), 5);
}
