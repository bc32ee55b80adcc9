//! Starts, stops and explains.
