//! The subscriber's side: connect, subscribe, read typed ticks.
