//! The channels and subscriptions of one shard.
