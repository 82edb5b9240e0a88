//! The API key from where it lives: a closure of the program's, a command, or the file of `tinker auth login`.
//!
//! Each may hang, so it runs on a thread of its own, and the sender waits for a bounded time. A source that never answers holds
//! one thread, not one an attempt. Several requests that are answered 401 at the same time ask one question. What the source
//! prints or holds is never logged. A command does not outlive the reporter: it is killed when `stop` has no time left for it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http::header::HeaderValue;
use serde::Deserialize;

use crate::failure::http_error::io_cause;
use crate::model::config::{CredentialSource, secret_header};
use crate::process::catch_panic::catch_panic;
use crate::process::fork;
use crate::process::program_log;

/// What a person would wait for. A command that asks a service for a token takes some hundred milliseconds.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// How long a command may take to end after its last word.
const END_GRACE: Duration = Duration::from_secs(1);
/// Larger than any key, or any file of some keys.
const MAX_BYTES: u64 = 64 * 1024;

/// The source, and what it gave. Clones share it.
#[derive(Clone)]
pub(in crate::transport) struct Credentials {
    source: CredentialSource,
    known: Arc<Mutex<Known>>,
}

/// Locked only to look or to note, never while the source is asked.
#[derive(Default)]
struct Known {
    /// The last key that the source gave.
    key: Option<HeaderValue>,
    /// The last question, if it is still to be answered.
    unanswered: Option<Arc<Answer>>,
    /// The reporter has ended: the source is not asked again.
    is_closed: bool,
}

/// Where the source leaves the key.
#[derive(Default)]
struct Answer {
    state: Mutex<State>,
    is_there: Condvar,
}

/// The source has none to give.
#[derive(Clone)]
struct NoKey;

#[derive(Default)]
struct State {
    key: Option<Result<String, NoKey>>,
    /// The command, until it is waited for.
    child: Option<Child>,
    /// The time for the command was over, perhaps before it had started.
    is_killed: bool,
}

impl Credentials {
    pub(in crate::transport) fn new(source: CredentialSource) -> Self {
        Self { source, known: Arc::default() }
    }

    /// A key that can stand in a header and is another than the one that is `rejected`. It may be one that another request
    /// has asked for meanwhile. `None` if the source has none, or none in time.
    pub(in crate::transport) fn key_other_than(
        &self,
        rejected: Option<&HeaderValue>,
        limit: Duration,
    ) -> Option<HeaderValue> {
        let answer = {
            let mut known = self.known();
            if known.key.is_some() && known.key.as_ref() != rejected {
                return known.key.clone();
            }
            if known.is_closed {
                return None;
            }
            let asked = known.unanswered.take().map_or_else(|| start(self.source.clone()).ok(), Some)?;
            known.unanswered = Some(Arc::clone(&asked));
            asked
        };
        let Some(given) = answer.wait(limit.min(MAX_WAIT)) else {
            answer.kill();
            return None;
        };
        let key = given.ok().and_then(|key| secret_header(key.trim()));
        let mut known = self.known();
        if known.unanswered.as_ref().is_some_and(|unanswered| Arc::ptr_eq(unanswered, &answer)) {
            known.key.clone_from(&key);
            known.unanswered = None;
        }
        key.filter(|key| Some(key) != rejected)
    }

    /// Asks no more, and kills the command that runs. Waits for nothing, so the caller of `stop` may do it.
    pub(in crate::transport) fn close(&self) {
        let mut known = self.known();
        known.is_closed = true;
        if let Some(unanswered) = &known.unanswered {
            unanswered.kill();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start(source: CredentialSource) -> io::Result<Arc<Answer>> {
    let answer = Arc::<Answer>::default();
    let asked = Arc::clone(&answer);
    fork::start_thread("tinker-credentials", move || {
        let key = catch_panic(|| match &source {
            CredentialSource::Closure(ask) => ask(),
            CredentialSource::Command(command) => asked.run(command).ok(),
            CredentialSource::File(path) => read_file(path),
        });
        asked.give(key.flatten().ok_or(NoKey));
    })?;
    Ok(answer)
}

impl Answer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, key: Result<String, NoKey>) {
        self.state().key = Some(key);
        self.is_there.notify_all();
    }

    fn wait(&self, timeout: Duration) -> Option<Result<String, NoKey>> {
        let waited = self.is_there.wait_timeout_while(self.state(), timeout, |state| state.key.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.key.clone()
    }

    fn run(&self, command: &str) -> io::Result<String> {
        let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        let mut shell = Command::new(shell);
        shell.arg(option).arg(command);
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        let mut child = shell.spawn()?;
        let stdout = child.stdout.take();
        let is_late = {
            let mut state = self.state();
            state.child = Some(child);
            state.is_killed
        };
        if is_late {
            self.kill();
        }
        let mut text = String::new();
        if let Some(stdout) = stdout {
            let _ = stdout.take(MAX_BYTES).read_to_string(&mut text);
        }
        let is_whole = (text.len() as u64) < MAX_BYTES && !self.state().is_killed;
        let has_failed = is_whole && self.wait_for_end().is_some_and(|status| !status.success());
        self.kill(); // it has said what is of interest
        let child = self.state().child.take();
        if let Some(mut child) = child {
            let _ = child.wait();
        }
        // What a command prints before it fails is no key, and what it had printed when it was killed may be a part of one.
        if is_whole && !has_failed { Ok(text) } else { Err(io::ErrorKind::Other.into()) }
    }

    /// Waits a moment for the command, which has closed its output, to end. `None` if it goes on.
    fn wait_for_end(&self) -> Option<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < END_GRACE {
            let mut state = self.state();
            if let Ok(Some(status)) = state.child.as_mut()?.try_wait() {
                state.child = None; // its number may be another process's now
                return Some(status);
            }
            drop(state);
            thread::sleep(Duration::from_millis(1));
        }
        None
    }

    /// Kills the command, and what it has started. The thread that runs the command also waits for its end.
    fn kill(&self) {
        let mut state = self.state();
        state.is_killed = true;
        if let Some(child) = &mut state.child {
            fork::kill_group(child);
        }
    }
}

/// The file of `tinker auth login`.
#[derive(Deserialize)]
struct Stored {
    default: Option<String>,
    #[serde(default)]
    keys: std::collections::HashMap<String, StoredKey>,
}

#[derive(Deserialize)]
struct StoredKey {
    key: String,
}

fn read_file(path: &Path) -> Option<String> {
    let warn = |reason: &str| {
        program_log::write(|| log::warn!("telemetry has no key: {} {reason}", path.display()));
    };
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) => {
            warn(&format!("cannot be read: {}", io_cause(&error)));
            return None;
        }
    };
    let Ok(mut stored) = serde_json::from_str::<Stored>(&text) else {
        warn("is not what `tinker auth login` writes");
        return None;
    };
    let key = stored.default.and_then(|default| stored.keys.remove(&default));
    if key.is_none() {
        warn("has no default key");
    }
    key.map(|key| key.key)
}

fn read_text(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into()); // to open a named pipe would wait for its other end
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o077 != 0 {
            program_log::write(|| {
                log::warn!("{} holds API keys, and others may read it: chmod 600", path.display());
            });
        }
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
