//! Keeps forks apart: a child neither holds its parent's files nor writes to them.

use std::time::Duration;

use tinker_telemetry::Severity;

use crate::process::{FINE, fork};
use crate::support::{LIMIT, assert_adds_up};
use crate::{Scene, until};

#[test]
fn a_child_does_not_keep_its_parent_s_lock_and_has_a_file_of_its_own() {
    let scene = Scene::new();
    let parent = scene.run().start().unwrap();
    assert!(parent.log("of the parent", (), Severity::Info));
    assert!(parent.wait_until_drained(LIMIT));
    assert_eq!(parent.stats().spooled, 1);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let child = fork(|| {
        assert!(parent.log("of the child", (), Severity::Info));
        assert!(parent.wait_until_drained(LIMIT));
        assert_adds_up(parent.stats());
        assert_eq!(parent.stats().spooled, 1);
        // The parent ends before this one does.
        drop(writer.try_clone());
        let mut byte = [0];
        std::io::Read::read_exact(&mut reader, &mut byte).unwrap();
    });
    until("the child has kept its event", || scene.events().len() == 2);
    assert_eq!(scene.spool().status().unwrap().files, 2);
    drop(parent);
    let collector = scene.collector();
    let next = scene.run().start().unwrap();
    until("the parent's event is sent while the child lives", || {
        collector.events().iter().any(|event| event.name() == "of the parent")
    });
    until("only the child's file is left", || scene.spool().status().unwrap().files == 1);
    std::io::Write::write_all(&mut { writer }, b"!").unwrap();
    assert_eq!(child.wait(), FINE);
    drop(next);
    let _last = scene.run().shutdown_timeout(Duration::from_secs(5)).start().unwrap();
    until("the child's is sent after it", || collector.events().len() == 2);
}
