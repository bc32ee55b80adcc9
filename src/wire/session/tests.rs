//! The session against the RFC's own examples, a naive reading of whole streams, and itself.
