use super::*;

#[test]
fn display_is_one_line_that_names_only_what_happened() {
    let mut stats = Stats { offered: 9, accepted: 7, delivered: 3, pending: 1, ..Stats::default() };
    stats.dropped.add(DropReason::Rejected, 2);
    stats.dropped.add(DropReason::Deadline, 1);
    stats.refused.queue_full = 2;
    assert_eq!(
        stats.to_string(),
        "telemetry: 9 offered, 3 delivered, 1 pending, 3 dropped (2 rejected, 1 deadline), \
         2 refused (2 queue_full)"
    );
}

#[test]
fn display_of_nothing_is_nothing_but_zeros() {
    assert_eq!(Stats::default().to_string(), "telemetry: 0 offered, 0 delivered");
}

#[test]
fn a_reason_is_shown_as_it_is_named_and_fills_a_column() {
    assert_eq!(format!("{:12}|", RefusalReason::QueueFull), "queue_full  |");
    assert_eq!(format!("{:>12}|", DropReason::Deadline), "    deadline|");
    for reason in RefusalReason::ALL {
        assert_eq!(reason.to_string(), reason.as_str());
    }
    for reason in DropReason::ALL {
        assert_eq!(reason.to_string(), reason.as_str());
    }
}

#[test]
fn each_reason_has_a_count_of_its_own() {
    let mut dropped = Dropped::default();
    for (add, reason) in (1..).zip(DropReason::ALL) {
        dropped.add(reason, add);
    }
    assert_eq!(DropReason::ALL.map(|reason| dropped.by(reason)), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(dropped.total(), 45);
}

#[test]
fn the_difference_of_two_snapshots_is_what_happened_between_them() {
    let mut before = Stats { offered: 9, accepted: 7, delivered: 3, pending: 3, ..Stats::default() };
    before.dropped.rejected = 1;
    before.refused.queue_full = 2;
    let mut after = Stats { offered: 20, accepted: 15, delivered: 10, pending: 1, ..Stats::default() };
    after.dropped.rejected = 1;
    after.dropped.deadline = 3;
    after.refused.queue_full = 2;
    after.refused.stopped = 3;
    let between = after - before;
    assert_eq!(
        between.to_string(),
        "telemetry: 11 offered, 7 delivered, 3 dropped (3 deadline), 3 refused (3 stopped)"
    );
    assert_eq!((between.accepted, between.pending), (8, 0));
    assert_eq!(before - after, Stats { pending: 2, ..Stats::default() }, "the wrong way round");
}

#[test]
fn a_snapshot_is_read_as_it_was_written_and_from_a_version_with_fewer_reasons() {
    let mut stats = Stats { offered: 9, accepted: 7, delivered: 3, pending: 3, ..Stats::default() };
    stats.dropped.rejected = 1;
    stats.refused.queue_full = 2;
    let json = serde_json::to_string(&stats).unwrap();
    assert_eq!(serde_json::from_str::<Stats>(&json).unwrap(), stats);
    let older = r#"{"offered": 2, "accepted": 2, "delivered": 1, "dropped": {"rejected": 1}}"#;
    assert_eq!(serde_json::from_str::<Stats>(older).unwrap().dropped.by(DropReason::Rejected), 1);
}

#[test]
fn counts_are_listed_by_reason() {
    let mut stats = Stats::default();
    stats.dropped.add(DropReason::Deadline, 4);
    stats.refused.reentrant = 5;
    assert_eq!(stats.dropped.iter().map(|(reason, _)| reason).collect::<Vec<_>>(), DropReason::ALL);
    assert_eq!(stats.dropped.iter().find(|(_, count)| *count > 0), Some((DropReason::Deadline, 4)));
    assert_eq!(stats.refused.iter().map(|(reason, _)| reason).collect::<Vec<_>>(), RefusalReason::ALL);
    assert_eq!(stats.refused.iter().find(|(_, count)| *count > 0), Some((RefusalReason::Reentrant, 5)));
}
