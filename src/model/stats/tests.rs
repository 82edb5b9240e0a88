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
    assert_eq!(DropReason::ALL.map(|reason| dropped.by(reason)), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(dropped.total(), 28);
}
