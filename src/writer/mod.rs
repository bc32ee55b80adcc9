//! The one place that decides order.
