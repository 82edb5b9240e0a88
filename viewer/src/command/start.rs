//! Starts a viewer as the options say.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use super::say;
use crate::cli::{PORT, Serving};
use crate::http::{Guard, listen};
use crate::serve::{Forward, Viewer};
use crate::store::Keep;

/// What to do if the usual port is taken and the user named none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfTaken {
    Fail,
    TakeAnother,
}

pub fn start(serving: &Serving, if_taken: IfTaken) -> Result<Arc<Viewer>, String> {
    let forward = serving.forward.as_deref().map(Forward::new).transpose()?;
    let keep = match &serving.keep {
        None => None,
        Some(path) => Some(Keep::open(path).map_err(|error| format!("--keep {}: {error}", path.display()))?),
    };
    let listener = bind(serving, if_taken)?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let guard = Guard::new(serving.listen, serving.allow_host.clone());
    let viewer = Arc::new(Viewer::new(address, guard, keep, forward));
    viewer.serve(listener);
    if !serving.listen.is_loopback() {
        say(&format!(
            "tinker-telemetry: listens on {address}: who can reach this machine can see the page and send events"
        ));
    }
    Ok(viewer)
}

fn bind(serving: &Serving, if_taken: IfTaken) -> Result<TcpListener, String> {
    let address = SocketAddr::new(serving.listen, serving.port.unwrap_or(PORT));
    match listen(address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if if_taken == IfTaken::TakeAnother && serving.port.is_none() {
                return listen(SocketAddr::new(serving.listen, 0)).map_err(|error| error.to_string());
            }
            let by = if is_viewer(address) { "another viewer" } else { "another program" };
            Err(format!(
                "port {} is taken by {by}; choose another with --port, or --port 0 for any free one",
                address.port()
            ))
        }
        bound => bound.map_err(|error| format!("{address}: {error}")),
    }
}

/// Whether a viewer answers at the address.
pub fn is_viewer(address: SocketAddr) -> bool {
    let agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(1))).proxy(None).build();
    let status = ureq::Agent::from(agent).get(format!("http://{address}/_viewer/status")).call();
    status
        .ok()
        .and_then(|mut answer| answer.body_mut().read_to_string().ok())
        .is_some_and(|body| body.contains("\"instance\""))
}
