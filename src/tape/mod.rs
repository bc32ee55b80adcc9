//! The tape, the only queue.
