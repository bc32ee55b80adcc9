//! Nouns without behaviour of their own, shared by every room.

pub mod census;
pub mod cost;
pub mod lane;
pub mod now;
pub mod pool;
pub mod prng;
pub mod publisher;
pub mod queue;
pub mod slab;
pub mod socket;

pub use census::{Census, JournalCensus, Orders};
pub use cost::{Cost, Part};
pub use lane::{Blocked, Inlet, Outlet};
pub use now::Now;
pub use pool::{Block, Pool};
pub use prng::Prng;
pub use publisher::PublisherId;
pub use queue::SlotQueue;
pub use slab::{Key, Slab};
pub use socket::Socket;
