//! The shard over the simulator.
