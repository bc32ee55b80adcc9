//! A bounded queue from one thread to another, and the bell that wakes whoever empties it.
//!
//! Nobody ever waits in it: what does not fit is given back at once, and where there is nothing, nothing is taken. Ringing
//! is apart from pushing, so that many values are one ring. Invariant: what was pushed is popped once, in its order, and
//! there are never more of it than was said when the lane was made.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// A lane for at most `most` values at once; `bell` wakes the thread that pops them.
///
/// ```
/// use tickwire::base::lane;
///
/// let (mut inlet, outlet) = lane::lane(1, || {});
/// assert!(inlet.push("first").is_ok());
/// assert!(matches!(inlet.push("second"), Err(lane::Blocked::Full("second"))));
/// assert_eq!((outlet.pop(), outlet.pop()), (Some("first"), None));
/// ```
///
/// # Panics
/// When `most` is 0.
pub fn lane<T>(most: usize, bell: impl Fn() + Send + 'static) -> (Inlet<T>, Outlet<T>) {
    assert!(most > 0, "a lane has room for something");
    let (sender, receiver) = sync_channel(most);
    let inlet = Inlet {
        sender,
        bell: Box::new(bell),
        unrung: false,
    };
    (inlet, Outlet { receiver })
}

/// The end where values are pushed.
pub struct Inlet<T> {
    sender: SyncSender<T>,
    bell: Box<dyn Fn() + Send>,
    /// Something was pushed since the bell was rung.
    unrung: bool,
}

/// The end where they are popped.
#[derive(Debug)]
pub struct Outlet<T> {
    receiver: Receiver<T>,
}

/// Why a value was not taken. It is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked<T> {
    /// There are as many in the lane as there may be.
    Full(T),
    /// Nobody will pop anything any more.
    Closed(T),
}

impl<T> Inlet<T> {
    /// Adds a value, without ringing.
    ///
    /// # Errors
    /// When there is no room for it, or the other end is gone.
    pub fn push(&mut self, value: T) -> Result<(), Blocked<T>> {
        match self.sender.try_send(value) {
            Ok(()) => {
                self.unrung = true;
                Ok(())
            }
            Err(TrySendError::Full(value)) => Err(Blocked::Full(value)),
            Err(TrySendError::Disconnected(value)) => Err(Blocked::Closed(value)),
        }
    }

    /// Wakes the other end if something was pushed since the last time.
    pub fn ring(&mut self) {
        if std::mem::take(&mut self.unrung) {
            (self.bell)();
        }
    }
}

impl<T> Outlet<T> {
    /// Takes the oldest value, if there is one.
    #[must_use]
    pub fn pop(&self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> fmt::Debug for Inlet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet")
            .field("unrung", &self.unrung)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    proptest! {
        #[test]
        fn is_a_queue_of_so_many(most in 1_usize..5, pushes in prop::collection::vec(any::<bool>(), 0..100)) {
            let (mut inlet, outlet) = lane(most, || {});
            let mut oracle = VecDeque::new();
            for (value, is_push) in pushes.into_iter().enumerate() {
                if is_push {
                    let expected = if oracle.len() < most {
                        oracle.push_back(value);
                        Ok(())
                    } else {
                        Err(Blocked::Full(value))
                    };
                    prop_assert_eq!(inlet.push(value), expected);
                } else {
                    prop_assert_eq!(outlet.pop(), oracle.pop_front());
                }
            }
        }
    }

    #[test]
    fn the_bell_is_rung_once_for_all_that_was_pushed_and_not_for_nothing() {
        let rung = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&rung);
        let (mut inlet, _outlet) = lane(4, move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        inlet.ring();
        assert_eq!(rung.load(Ordering::Relaxed), 0);
        inlet.push(1).unwrap();
        inlet.push(2).unwrap();
        inlet.ring();
        inlet.ring();
        assert_eq!(rung.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn who_pushes_learns_that_nobody_pops_and_who_pops_gets_what_was_pushed_before() {
        let (mut inlet, outlet) = lane(4, || {});
        inlet.push(1).unwrap();
        drop(outlet);
        assert_eq!(inlet.push(2), Err(Blocked::Closed(2)));
        let (mut inlet, outlet) = lane(4, || {});
        inlet.push(1).unwrap();
        drop(inlet);
        assert_eq!((outlet.pop(), outlet.pop()), (Some(1), None));
    }

    #[test]
    fn values_cross_between_threads_in_order() {
        const COUNT: u64 = 100_000;
        let (mut inlet, outlet) = lane(8, || {});
        let pushing = thread::spawn(move || {
            for mut value in 0..COUNT {
                while let Err(Blocked::Full(back)) = inlet.push(value) {
                    value = back;
                    thread::yield_now();
                }
            }
        });
        let mut next = 0;
        while next < COUNT {
            match outlet.pop() {
                Some(value) => {
                    assert_eq!(value, next);
                    next += 1;
                }
                None => thread::yield_now(),
            }
        }
        pushing.join().unwrap();
    }
}
