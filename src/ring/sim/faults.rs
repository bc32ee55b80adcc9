//! What may go wrong in a simulation, and how often.

/// The likelihood of each fault, in thousandths; each is 0 unless said otherwise. Nothing here breaks the contract
/// of [`Ring`](crate::ring::Ring): whatever a fault does, a kernel may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// A receive gives fewer bytes than have arrived, as if the rest came a moment later. Per receive.
    pub short_receive: u16,
    /// A send is cut at any byte though there is room for all. Per send.
    pub short_send: u16,
    /// A send finds no room though there is some. Per send.
    pub refused_send: u16,
    /// A poll fires though nothing is ready. Per armed poll.
    pub spurious_readiness: u16,
    /// A lasting poll ends by itself. Per report.
    pub lasting_poll_ends: u16,
    /// Accepting stops with [`Errno::NO_BUFFERS`](crate::ring::Errno::NO_BUFFERS). Per connection.
    pub accept_no_buffers: u16,
    /// Accepting stops with [`Errno::NO_DESCRIPTORS`](crate::ring::Errno::NO_DESCRIPTORS). Per connection.
    pub accept_no_descriptors: u16,
    /// Accepting stops with [`Errno::OVERFLOW`](crate::ring::Errno::OVERFLOW). Per connection.
    pub accept_overflow: u16,
    /// The connection is reset, for both ends. Per receive, send and client's write.
    pub reset: u16,
    /// Completions come in another order than they happened. Per wait; accepts keep their own order.
    pub reorder: u16,
    /// A completion, a doorbell, bytes or a new connection are up to [`Self::delay_ns_max`] late. Each.
    pub delay: u16,
    /// The longest delay, in nanoseconds of virtual time.
    pub delay_ns_max: u64,
    /// A doorbell that nobody rang. Per wait.
    pub spurious_doorbell: u16,
    /// A buffer of a connection holds a few hundred bytes only, and another number each time it has run empty. Per
    /// buffer and time.
    pub small_buffer: u16,
}

impl Faults {
    /// Every fault, often enough that a run of a few hundred operations meets most of them.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            short_receive: 200,
            short_send: 100,
            refused_send: 50,
            spurious_readiness: 100,
            lasting_poll_ends: 20,
            accept_no_buffers: 30,
            accept_no_descriptors: 30,
            accept_overflow: 50,
            reset: 5,
            reorder: 300,
            delay: 200,
            delay_ns_max: 20_000_000,
            spurious_doorbell: 50,
            small_buffer: 300,
        }
    }

    /// Every fault but those that end a connection: what was sent must arrive.
    #[must_use]
    pub const fn lossless() -> Self {
        Self {
            reset: 0,
            ..Self::all()
        }
    }
}
