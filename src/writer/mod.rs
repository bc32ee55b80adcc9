//! The one place that decides order.

pub mod clock;
pub mod runtime;
pub mod source;
