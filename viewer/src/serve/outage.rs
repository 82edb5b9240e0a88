//! The outage that a user plays: what programs are answered in place of the truth.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Longer than any client's patience; then the connection closes.
const HANG: Duration = Duration::from_secs(120);
/// Close to the library's `http_timeout` of 5 s, and below it.
const SLOW: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Back,
    Refuse(u16),
    Hang,
    Slow,
}

const WORDS: [(&str, Mode); 6] = [
    ("back", Mode::Back),
    ("503", Mode::Refuse(503)),
    ("hang", Mode::Hang),
    ("401", Mode::Refuse(401)),
    ("413", Mode::Refuse(413)),
    ("slow", Mode::Slow),
];

#[derive(Debug, Default)]
pub struct Outage {
    mode: Mutex<Mode>,
    changed: Condvar,
}

impl Outage {
    /// Whether the word is known, and now in force.
    pub fn set(&self, word: &str) -> bool {
        let Some((_, mode)) = WORDS.iter().find(|(own, _)| *own == word) else { return false };
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = *mode;
        self.changed.notify_all();
        true
    }

    pub fn mode(&self) -> Mode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn word(&self) -> &'static str {
        let mode = self.mode();
        WORDS.iter().find(|(_, own)| *own == mode).map_or("back", |(word, _)| word)
    }

    /// Waits as long as requests hang. `gone` says whether the client is.
    pub fn hang(&self, mut gone: impl FnMut() -> bool) {
        const LOOK: Duration = Duration::from_millis(500); // to see that the client hung up
        for _ in 0..HANG.as_millis() / LOOK.as_millis() {
            if self.wait(Mode::Hang, LOOK) || gone() {
                return;
            }
        }
    }

    /// Waits as long as a slow answer takes, unless the outage ends.
    pub fn slow(&self) {
        self.wait(Mode::Slow, SLOW);
    }

    /// Whether the mode became another within the time.
    fn wait(&self, mode: Mode, time: Duration) -> bool {
        let guard = self.mode.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, _) = self
            .changed
            .wait_timeout_while(guard, time, |now| *now == mode)
            .unwrap_or_else(PoisonError::into_inner);
        *now != mode
    }
}
