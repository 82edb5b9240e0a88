//! The API key from where it lives: a closure of the program's, a command, or the file of `tinker auth login`.
//!
//! Each may hang, so it runs on a thread of its own, and the worker waits for a bounded time. A source that never answers holds
//! one thread, not one an attempt. What it prints or holds is never logged.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use http::header::HeaderValue;
use serde::Deserialize;

use crate::model::config::{CredentialSource, secret_header};
use crate::process::catch_panic::catch_panic;
use crate::process::fork;

/// What a person would wait for. A command that asks a service for a token takes some hundred milliseconds.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Larger than any key, or any file of some keys.
const MAX_BYTES: u64 = 64 * 1024;

pub(in crate::transport) struct Credentials {
    source: CredentialSource,
    /// The last question, if it is still to be answered.
    unanswered: Option<Arc<Answer>>,
}

/// Where the source leaves the key.
#[derive(Default)]
struct Answer {
    state: Mutex<State>,
    is_there: Condvar,
}

/// The source has none to give.
struct NoKey;

#[derive(Default)]
struct State {
    key: Option<Result<String, NoKey>>,
    /// The command, as long as it runs.
    child: Option<Child>,
}

impl Credentials {
    pub(in crate::transport) fn new(source: CredentialSource) -> Self {
        Self { source, unanswered: None }
    }

    /// A key that can stand in a header. `None` if the source has none, or none in time.
    pub(in crate::transport) fn ask(&mut self, limit: Duration) -> Option<HeaderValue> {
        let answer = match self.unanswered.take() {
            Some(answer) => answer,
            None => start(self.source.clone()).ok()?,
        };
        if let Some(key) = answer.wait(limit.min(MAX_WAIT)) {
            return secret_header(key.ok()?.trim());
        }
        answer.kill();
        self.unanswered = Some(answer);
        None
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
    fn give(&self, key: Result<String, NoKey>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).key = Some(key);
        self.is_there.notify_all();
    }

    fn wait(&self, timeout: Duration) -> Option<Result<String, NoKey>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.is_there.wait_timeout_while(state, timeout, |state| state.key.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.key.take()
    }

    fn run(&self, command: &str) -> io::Result<String> {
        let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        let mut shell = Command::new(shell);
        shell.arg(option).arg(command);
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = shell.spawn()?;
        let stdout = child.stdout.take();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).child = Some(child);
        let mut text = String::new();
        if let Some(stdout) = stdout {
            let _ = stdout.take(MAX_BYTES).read_to_string(&mut text);
        }
        self.kill(); // it has said what is of interest
        Ok(text)
    }

    /// Ends the command, if there is one that still runs.
    fn kill(&self) {
        let child = self.state.lock().unwrap_or_else(PoisonError::into_inner).child.take();
        if let Some(mut child) = child {
            let _ = child.kill();
            let _ = child.wait();
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
    let warn = |reason: &str| log::warn!("telemetry has no key: {} {reason}", path.display());
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) => {
            warn(&format!("cannot be read: {}", error.kind()));
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
            log::warn!("{} holds API keys, and others may read it: chmod 600", path.display());
        }
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}
