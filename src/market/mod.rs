//! What is traded: decimals, trades, quotes, level-2 books and the channels that carry them.

pub mod book;
pub mod channel;
pub mod decimal;
pub mod derivation;
pub mod offer;
pub mod rules;
pub mod tick;
pub mod window;

pub use book::{Book, BookError, BookSide};
pub use channel::{ChannelClass, ChannelName, ChannelNameError, Pattern};
pub use decimal::{Decimal, DecimalError};
pub use derivation::{Derivation, DerivationError, Reading};
pub use offer::{NotOffered, Offer, OfferError};
pub use rules::{ChannelRule, ChannelRules, RuleError};
pub use tick::{BookUpdate, BookUpdateKind, Level, Quote, Side, Tick, Trade};
pub use window::{Changes, Touched};
