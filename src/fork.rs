//! Notices a fork. The one room with `unsafe` in it.
//!
//! A forked child has its parent's memory but only the thread that forked. A lock that another thread held at that
//! moment stays locked for good, a worker is gone, a socket is shared with the parent: what was made before the
//! fork must not be touched in the child, not even to be dropped. So such things are kept in [`PerProcess`]: the
//! process that made them sees them; a child sees an empty place, and fills it with its own when it needs one.
//!
//! Nothing here locks, or a fork could catch that lock closed.

#![expect(
    unsafe_code,
    reason = "a handler for the C library, and memory that outlives its owner in a forked child"
)]

use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::thread;

use crate::contain::contain;

/// How many forks lie between the first process that [`watch`]ed and this one. It changes only while a process has
/// one thread, so a relaxed load sees it.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Begins to notice forks, by `fork` of the C library: neither its `_fork` nor a bare system call runs handlers.
#[cfg(unix)]
pub(crate) fn watch() {
    use std::sync::atomic::AtomicBool;

    use crate::quiet;

    static WATCHED: AtomicBool = AtomicBool::new(false);
    extern "C" fn in_child() {
        GENERATION.fetch_add(1, Ordering::Relaxed);
        quiet::leave();
    }
    // Two threads may get past this together, and a fork is then counted twice, which is as good as once.
    if !WATCHED.load(Ordering::Acquire) {
        // SAFETY: the handler adds to an atomic and stores to the thread's own memory, which is allowed in a child. Should there be no memory
        // for it, the next start tries again.
        let refused = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        WATCHED.store(refused == 0, Ordering::Release);
    }
}

/// There is no fork to notice.
#[cfg(not(unix))]
pub(crate) fn watch() {}

/// The process that made something, to ask later whether this is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u64);

/// The process of a program that never forked.
const FIRST: Process = Process(0);

impl Process {
    #[inline]
    pub(crate) fn current() -> Self {
        Self(if cfg!(unix) { GENERATION.load(Ordering::Relaxed) } else { 0 })
    }

    /// Ends this process if it is a child that was forked on a thread of the crate's own, by a logger that forked and
    /// came back. That thread is all there is of the child, and its work is the parent's: it ends as the last thread
    /// of a process does, without touching anything.
    pub(crate) fn end_copies(self) {
        if self != Self::current() {
            // SAFETY: always is; it runs no handlers and does not return.
            #[cfg(unix)]
            unsafe {
                libc::_exit(0)
            }
        }
    }
}

/// Starts a thread, in a forked child too.
///
/// There the standard library's may never get going: each takes a lock of the library's own as it starts and as it ends,
/// and a fork can catch that lock closed. (Seen with Rust 1.95 on Linux, in one child of some hundreds beside a parent
/// that starts threads all the time.) The C library's own threads know of forks.
pub(crate) fn start_thread(name: &str, main: impl FnOnce() + Send + 'static) -> io::Result<()> {
    if Process::current() == FIRST {
        return thread::Builder::new().name(name.to_owned()).spawn(main).map(drop);
    }
    #[cfg(unix)]
    return start_bare_thread(Box::new(main));
    #[cfg(not(unix))]
    return Err(io::ErrorKind::Unsupported.into()); // no process is other than the first
}

#[cfg(unix)]
type Main = Box<dyn FnOnce() + Send>;

#[cfg(unix)]
fn start_bare_thread(main: Main) -> io::Result<()> {
    use std::ffi::c_void;
    use std::mem::MaybeUninit;

    extern "C" fn run(main: *mut c_void) -> *mut c_void {
        // SAFETY: it is the box below, and this thread's alone.
        let main = unsafe { Box::from_raw(main.cast::<Main>()) };
        let _ = contain(main); // a panic must not leave this function
        ptr::null_mut()
    }

    let main = Box::into_raw(Box::new(main));
    let mut thread = MaybeUninit::uninit();
    // SAFETY: null stands for the default attributes; `main` is a box that `run` takes over, as it may be sent.
    let refused = unsafe { libc::pthread_create(thread.as_mut_ptr(), ptr::null(), run, main.cast()) };
    if refused != 0 {
        // SAFETY: there is no thread that took the box over.
        drop(unsafe { Box::from_raw(main) });
        return Err(io::Error::from_raw_os_error(refused));
    }
    // SAFETY: the call succeeded, so it has written the thread's id; nobody joins the thread.
    unsafe { libc::pthread_detach(thread.assume_init()) };
    Ok(())
}

/// A place that every process fills for itself.
pub(crate) struct Slot<T> {
    filled: AtomicPtr<Filled<T>>,
    owns: PhantomData<Filled<T>>,
}

struct Filled<T> {
    process: Process,
    value: T,
}

// SAFETY: it gives out `&T` to whichever thread asks, and drops on one thread what another put in.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for Slot<T> {}

impl<T> Slot<T> {
    pub(crate) const fn new() -> Self {
        Self { filled: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    /// What this process put in.
    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: the pointer is null or from the box of a `fill`. That box is freed by the drop of the slot alone,
        // which no borrow outlives: a `fill` that replaces it, in a child, leaves it where it is.
        let filled = unsafe { self.filled.load(Ordering::Acquire).as_ref() }?;
        (filled.process == Process::current()).then_some(&filled.value)
    }

    /// Puts a value in, unless another thread was first. Gives the one that is in.
    pub(crate) fn fill(&self, value: T) -> &T {
        let seen = self.filled.load(Ordering::Acquire);
        if let Some(value) = self.get() {
            return value;
        }
        let fresh = Box::into_raw(Box::new(Filled { process: Process::current(), value }));
        match self.filled.compare_exchange(seen, fresh, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: as in `get`.
            Ok(_) => unsafe { &(*fresh).value },
            Err(first) => {
                // SAFETY: `fresh` went nowhere; and `first` as in `get`.
                unsafe {
                    drop(Box::from_raw(fresh));
                    &(*first).value
                }
            }
        }
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        let filled = *self.filled.get_mut();
        // SAFETY: as in `get`; and nobody else has it, since the slot is borrowed for good.
        unsafe {
            if filled.as_ref().is_some_and(|filled| filled.process == Process::current()) {
                drop(Box::from_raw(filled));
            }
        }
    }
}

/// A value of the process that made it, with a place beside it for a child's own.
pub(crate) struct PerProcess<T> {
    process: Process,
    first: ManuallyDrop<T>,
    later: Slot<T>,
}

impl<T> PerProcess<T> {
    pub(crate) fn new(first: T) -> Self {
        Self { process: Process::current(), first: ManuallyDrop::new(first), later: Slot::new() }
    }

    /// This process's value; `None` in a child that has none yet. Costs the first process one relaxed load.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        if self.process == Process::current() { Some(&self.first) } else { self.later.get() }
    }

    /// This process's value, made if need be. Where threads of a child come at once, each makes one, and all but
    /// one are dropped.
    #[inline]
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        self.get().unwrap_or_else(|| self.later.fill(make()))
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        if self.process == Process::current() {
            // SAFETY: this is the one drop, and nothing uses the value after it.
            unsafe { ManuallyDrop::drop(&mut self.first) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    /// A process that is not this one.
    const PARENT: Process = Process(u64::MAX);

    #[test]
    fn a_slot_is_filled_once_and_drops_what_it_holds() {
        let (first, second) = (Arc::new(1), Arc::new(2));
        let slot = Slot::new();
        assert_eq!(slot.get(), None);
        assert_eq!(**slot.fill(Arc::clone(&first)), 1);
        assert_eq!(**slot.fill(Arc::clone(&second)), 1);
        assert_eq!(slot.get(), Some(&first));
        assert_eq!(Arc::strong_count(&second), 1, "what came too late is gone");
        drop(slot);
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn threads_that_fill_at_once_all_get_the_same() {
        for _ in 0..200 {
            let slot = Slot::new();
            let slot = &slot;
            let got: Vec<u32> = thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|value| scope.spawn(move || *slot.fill(value))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(got.iter().all(|value| Some(value) == slot.get()), "{got:?}");
        }
    }

    #[test]
    fn what_a_parent_made_is_neither_seen_nor_dropped() {
        let (parents, own) = (Arc::new("parent"), Arc::new("child"));
        let mut place = PerProcess::new(Arc::clone(&parents));
        place.process = PARENT;
        assert!(place.get().is_none());
        assert_eq!(**place.get_or_make(|| Arc::clone(&own)), "child");
        assert_eq!(place.get(), Some(&own));
        drop(place);
        assert_eq!((Arc::strong_count(&parents), Arc::strong_count(&own)), (2, 1));
    }
}
