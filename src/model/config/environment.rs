//! What the environment says. It is read here and nowhere else.

use std::ffi::OsString;

use std::path::{Path, PathBuf};

use super::{Config, CredentialSource};

impl Config {
    pub(super) fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let read = |name: &str| read_variable(&variable, name);
        let mut config = Self::new(read("TINKER_API_KEY").unwrap_or_default());
        if config.api_key.is_empty() {
            let command = read("TINKER_CREDENTIAL_CMD").map(CredentialSource::Command);
            config.credentials =
                command.or_else(|| stored_credentials(&variable).map(CredentialSource::File));
        }
        if let Some(url) = read("TINKER_BASE_URL") {
            config = config.base_url(url);
        }
        let (id, secret) = (read("CLOUDFLARE_ACCESS_CLIENT_ID"), read("CLOUDFLARE_ACCESS_CLIENT_SECRET"));
        if id.is_some() || secret.is_some() {
            config = config.cloudflare_access(id.unwrap_or_default(), secret.unwrap_or_default());
        }
        config
    }
}

/// The file that `tinker auth login` writes, if it is there.
fn stored_credentials(variable: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = variable(if cfg!(windows) { "USERPROFILE" } else { "HOME" })?;
    let file = Path::new(&home).join(".tinker/credentials.json");
    (!home.is_empty() && file.exists()).then_some(file)
}

/// What becomes of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Send,
    /// A dry run.
    Print,
    Off,
    /// Off as well: the variable has a word that means neither on nor off.
    Unclear,
}

/// What the environment asks for.
pub(crate) fn mode() -> Mode {
    mode_of(|name| std::env::var_os(name))
}

/// Whether the environment wants no colours, by the convention of `NO_COLOR`.
pub(crate) fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Whether this is a job of continuous integration: its machine has no next run.
pub(crate) fn is_ci() -> bool {
    let value = read_variable(&|name: &str| std::env::var_os(name), "CI");
    value.is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
}

/// The folder for what programs keep for their next run: `XDG_STATE_HOME`, else `~/.local/state`. A relative path
/// counts as unset.
#[cfg(feature = "spool")]
pub(crate) fn state_home() -> Option<PathBuf> {
    let path = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    path("XDG_STATE_HOME").or_else(|| path("HOME").map(|home| home.join(".local/state")))
}

pub(super) fn mode_of(variable: impl Fn(&str) -> Option<OsString>) -> Mode {
    let read = |name| read_variable(&variable, name).unwrap_or_default().to_ascii_lowercase();
    let is_no = |wish: &str| matches!(wish, "0" | "false" | "no" | "off");
    let (telemetry, do_not_track) = (read("TINKER_TELEMETRY"), read("DO_NOT_TRACK"));
    let mode = match telemetry.as_str() {
        "" | "1" | "true" | "yes" | "on" => Mode::Send,
        "print" => return Mode::Print, // what stays on the machine tracks no one
        no if is_no(no) => Mode::Off,
        _ => Mode::Unclear,
    };
    if do_not_track.is_empty() || is_no(&do_not_track) { mode } else { Mode::Off }
}

/// A variable's text without surrounding white space, and without quotes around it: `docker --env-file` keeps them. `None`
/// if it is unset or empty. Text that is not Unicode keeps a character that no header or URL may have, so the validation
/// finds it.
pub(super) fn read_variable(variable: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<String> {
    let value = variable(name)?;
    let text = value.to_string_lossy();
    let text = unquoted(text.trim());
    (!text.is_empty()).then(|| text.to_owned())
}

/// The text between a pair of quotes of one kind, without white space around it.
fn unquoted(text: &str) -> &str {
    let between = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    between('"').or_else(|| between('\'')).map_or(text, str::trim)
}
