//! A server on loopback that plays the faults it is given, one to a request, and keeps a journal.
//!
//! Nothing outlives it: dropping it shuts every socket and joins every thread.

pub(crate) mod fault;
pub(crate) mod journal;
mod line;
mod play;
mod proof;

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::server::fault::Fault;
use crate::server::journal::{Entries, Journal};
use crate::server::line::{Closing, Line};
use crate::server::play::Next;

/// What the kernel makes a receive buffer at the least is a little more; it takes the wish.
const SMALL_WINDOW: usize = 2048;
/// A client's first send buffer is a multiple of its segment: with the 64 KiB segments of loopback it would
/// take in 2.5 MiB before a write could stall.
const SMALL_SEGMENT: u32 = 536;
const BACKLOG: i32 = 128;

/// Which fault the next request gets, whatever connection it comes on.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// The same one each time.
    Always(Fault),
    /// One after the other, then the last one over and over.
    InOrder(Vec<Fault>),
}

impl Script {
    fn fault(&self, request: usize) -> Fault {
        match self {
            Self::Always(fault) => fault.clone(),
            Self::InOrder(faults) => match faults.get(request).or(faults.last()) {
                Some(fault) => fault.clone(),
                None => Fault::Close,
            },
        }
    }

    fn stalls_the_writer(&self) -> bool {
        match self {
            Self::Always(fault) => fault.stalls_the_writer(),
            Self::InOrder(faults) => faults.iter().any(Fault::stalls_the_writer),
        }
    }
}

impl From<Fault> for Script {
    fn from(fault: Fault) -> Self {
        Self::Always(fault)
    }
}

impl From<Vec<Fault>> for Script {
    fn from(faults: Vec<Fault>) -> Self {
        Self::InOrder(faults)
    }
}

/// See the module. Dereferences to its [`Journal`].
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    house: Arc<House>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the acceptor and the connections share.
#[derive(Debug)]
struct House {
    journal: Arc<Journal>,
    closing: Arc<Closing>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    script: Script,
    /// Faults handed out so far.
    played: usize,
    /// Weak, because a socket is only closed when its last owner goes, and a fault ends with the close.
    streams: Vec<Weak<TcpStream>>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(script: impl Into<Script>) -> io::Result<Self> {
        let script = script.into();
        let listener = listen(BACKLOG, script.stalls_the_writer())?;
        let address = listener.local_addr()?;
        let house = Arc::new(House {
            journal: Arc::default(),
            closing: Arc::default(),
            state: Mutex::new(State { script, played: 0, streams: Vec::new(), threads: Vec::new() }),
        });
        let acceptor = thread::Builder::new().name("fault-accept".to_owned()).spawn({
            let house = Arc::clone(&house);
            move || accept(&listener, &house)
        })?;
        Ok(Self { address, house, acceptor: Some(acceptor) })
    }

    /// Begins another script with an empty journal, for clients that are yet to come: one that still talks has its
    /// part in it.
    pub(crate) fn begin(&self, script: impl Into<Script>) {
        let mut state = self.house.state();
        (state.script, state.played) = (script.into(), 0);
        self.write(|entries| *entries = Entries::default());
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// For a [`Config`](tinker_telemetry::Config).
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same, spoken to in TLS.
    pub(crate) fn tls_base_url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Deref for Server {
    type Target = Journal;

    fn deref(&self) -> &Journal {
        &self.house.journal
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.house.closing.set();
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let (streams, threads) = {
            let mut state = self.house.state();
            (std::mem::take(&mut state.streams), std::mem::take(&mut state.threads))
        };
        for stream in streams.iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl House {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fault(&self) -> Fault {
        let mut state = self.state();
        state.played += 1;
        state.script.fault(state.played - 1)
    }
}

fn accept(listener: &TcpListener, house: &Arc<House>) {
    for (connection, stream) in listener.incoming().enumerate() {
        if house.closing.is_set() {
            return;
        }
        let Ok(stream) = stream.map(Arc::new) else { continue };
        let _ = stream.set_nodelay(true);
        house.journal.write(|entries| entries.connections += 1);
        let watched = Arc::downgrade(&stream);
        let line = Line::new(stream, connection, Arc::clone(&house.journal), Arc::clone(&house.closing));
        let serving = thread::Builder::new().name("fault-serve".to_owned()).spawn({
            let house = Arc::clone(house);
            move || serve(line, &house)
        });
        let mut state = house.state();
        state.streams.retain(|stream| stream.strong_count() > 0);
        state.threads.retain(|thread| !thread.is_finished());
        state.streams.push(watched);
        state.threads.extend(serving);
    }
}

/// One fault after the other until one ends the connection. A fault is only used up by a client that has
/// something to say, or that stalls before it can.
fn serve(mut line: Line, house: &House) {
    let silent = matches!(house.state().script, Script::Always(Fault::ReadStall));
    while silent || line.wait_for_request().is_ok() {
        match house.next_fault().play(&mut line) {
            Ok(Next::Keep) => {}
            Ok(Next::Close) | Err(_) => return,
        }
    }
}

/// A port where connecting hangs: its backlog is full and no connection is accepted.
#[derive(Debug)]
pub(crate) struct FullBacklog {
    address: SocketAddr,
    _listener: TcpListener,
    _fillers: Vec<TcpStream>,
}

impl FullBacklog {
    pub(crate) fn start() -> io::Result<Self> {
        // Kernels round a backlog of 0 up, but none to this many.
        const MOST: usize = 64;
        let listener = listen(0, false)?;
        let address = listener.local_addr()?;
        let mut fillers = Vec::new();
        while fillers.len() < MOST {
            match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                Ok(filler) => fillers.push(filler),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Ok(Self { address, _listener: listener, _fillers: fillers });
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("the backlog never fills"))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn listen(backlog: i32, small_window: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if small_window {
        // Accepted sockets inherit both; set later, they would come after the handshake.
        socket.set_recv_buffer_size(SMALL_WINDOW)?;
        SockRef::from(&socket).set_tcp_mss(SMALL_SEGMENT)?;
    }
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}
