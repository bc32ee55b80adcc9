//! Which derived channels clients may ask for: a few depths and intervals, each alone and each with each.
//!
//! There are only so many derived channels in the life of a server, and each name that was ever asked for is one. So the names
//! are counted beforehand: were any depth and any interval to be had, one client could use them all up for all others. That few
//! are offered also lets those who want nearly the same share it.
//!
//! Never knows which channels there are. Invariant: what is offered can be derived, of a base of a fitting class.

use std::error::Error;
use std::fmt;

use super::derivation::{Derivation, DerivationError, Reading};
use crate::limits::{DERIVED_DEPTHS_DEFAULT, DERIVED_INTERVALS_MS_DEFAULT, DERIVED_OFFERS_MAX};

/// What clients may have derived.
///
/// ```
/// use tickwire::market::{Derivation, Offer};
///
/// let mut offer = Offer::default().without_depths().without_intervals();
/// offer.add_depth(10)?;
/// offer.add_interval("250ms")?;
/// let ten = Derivation { depth: Some(10), interval_ms: None };
/// assert!(offer.check(ten).is_ok());
/// assert!(offer.check(Derivation { interval_ms: Some(250), ..ten }).is_ok());
/// let refused = offer.check(Derivation { depth: Some(11), ..ten }).unwrap_err();
/// assert_eq!(refused.to_string(), "depths here are /10");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    depths: Vec<usize>,
    intervals_ms: Vec<u32>,
}

/// Why nothing is derived in that way here, although it could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOffered {
    /// Of a book there are only these best levels; none of no depth.
    Depth(Vec<usize>),
    /// There are only these intervals, in milliseconds.
    Interval(Vec<u32>),
}

/// Why something cannot be offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferError {
    /// Nothing can be derived like that.
    Derivation(DerivationError),
    /// It is offered already.
    Twice,
    /// There are [`DERIVED_OFFERS_MAX`] depths, or intervals, already.
    TooMany,
}

impl Offer {
    /// The same, but no depth.
    #[must_use]
    pub fn without_depths(self) -> Self {
        Self {
            depths: Vec::new(),
            ..self
        }
    }

    /// The same, but no interval.
    #[must_use]
    pub fn without_intervals(self) -> Self {
        Self {
            intervals_ms: Vec::new(),
            ..self
        }
    }

    /// Offers so many best levels of a book.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn add_depth(&mut self, depth: usize) -> Result<(), OfferError> {
        Reading::check_depth(depth).map_err(OfferError::Derivation)?;
        add(&mut self.depths, depth)
    }

    /// Offers an interval, written as in a channel's name: `100ms`, `1s`.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn add_interval(&mut self, interval: &str) -> Result<(), OfferError> {
        let ms = Reading::interval_ms(interval).map_err(OfferError::Derivation)?;
        add(&mut self.intervals_ms, ms)
    }

    /// Whether clients may have this.
    ///
    /// # Errors
    /// What they may have instead.
    pub fn check(&self, derivation: Derivation) -> Result<(), NotOffered> {
        let Derivation { depth, interval_ms } = derivation;
        if depth.is_some_and(|depth| !self.depths.contains(&depth)) {
            return Err(NotOffered::Depth(self.depths.clone()));
        }
        if interval_ms.is_some_and(|ms| !self.intervals_ms.contains(&ms)) {
            return Err(NotOffered::Interval(self.intervals_ms.clone()));
        }
        Ok(())
    }

    /// How many names there are of one book and of one channel of class `replace`.
    #[must_use]
    pub fn names(&self) -> (usize, usize) {
        let (depths, intervals) = (self.depths.len(), self.intervals_ms.len());
        (depths + intervals + depths * intervals, intervals)
    }
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            depths: DERIVED_DEPTHS_DEFAULT.to_vec(),
            intervals_ms: DERIVED_INTERVALS_MS_DEFAULT.to_vec(),
        }
    }
}

fn add<T: PartialEq>(offered: &mut Vec<T>, one: T) -> Result<(), OfferError> {
    if offered.contains(&one) {
        return Err(OfferError::Twice);
    }
    if offered.len() >= DERIVED_OFFERS_MAX {
        return Err(OfferError::TooMany);
    }
    offered.push(one);
    Ok(())
}

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written: Vec<String> = match self {
            Self::Depth(depths) => depths.iter().map(|depth| format!("/{depth}")).collect(),
            Self::Interval(intervals_ms) => intervals_ms
                .iter()
                .map(|ms| match ms {
                    ms if ms.is_multiple_of(1000) => format!("@{}s", ms / 1000),
                    ms => format!("@{ms}ms"),
                })
                .collect(),
        };
        let what = match self {
            Self::Depth(_) => "depth",
            Self::Interval(_) => "interval",
        };
        if written.is_empty() {
            return write!(f, "there is no {what} here");
        }
        write!(f, "{what}s here are {}", written.join(", "))
    }
}

impl Error for NotOffered {}

impl fmt::Display for OfferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Derivation(error) => error.fmt(f),
            Self::Twice => f.write_str("offered twice; say it once"),
            Self::TooMany => write!(
                f,
                "more than {DERIVED_OFFERS_MAX}; offer fewer, so that they are shared"
            ),
        }
    }
}

impl Error for OfferError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Offer {
        Offer::default().without_depths().without_intervals()
    }

    fn of(depth: Option<usize>, interval_ms: Option<u32>) -> Derivation {
        Derivation { depth, interval_ms }
    }

    #[test]
    fn what_is_not_offered_is_refused_with_what_is() {
        let offer = Offer::default();
        let refusal = |derivation| offer.check(derivation).map_err(|refused| refused.to_string());
        assert_eq!(refusal(of(Some(10), Some(1000))), Ok(()));
        assert_eq!(
            refusal(of(Some(11), Some(1000))),
            Err("depths here are /1, /2, /3, /5, /10, /20, /50, /100, /500, /1000".to_owned())
        );
        assert_eq!(
            refusal(of(Some(10), Some(1001))),
            Err("intervals here are @20ms, @50ms, @100ms, @250ms, @500ms, @1s, @5s, @10s".to_owned())
        );
        let nothing = nothing();
        let refusal = |derivation| nothing.check(derivation).map_err(|refused| refused.to_string());
        assert_eq!(
            refusal(of(Some(1), None)),
            Err("there is no depth here".to_owned())
        );
        assert_eq!(
            refusal(of(None, Some(20))),
            Err("there is no interval here".to_owned())
        );
    }

    #[test]
    fn names_are_each_depth_and_interval_and_each_with_each() {
        let mut offer = nothing();
        assert_eq!(offer.names(), (0, 0));
        for depth in [5, 10] {
            offer.add_depth(depth).unwrap();
        }
        for interval in ["100ms", "1s", "60s"] {
            offer.add_interval(interval).unwrap();
        }
        assert_eq!(offer.names(), (11, 3));
    }

    #[test]
    fn what_cannot_be_derived_cannot_be_offered() {
        let mut offer = nothing();
        for depth in [0, 6001] {
            let refused = offer.add_depth(depth).unwrap_err();
            assert_eq!(refused.to_string(), "a depth is a number from 1 to 6000");
        }
        for (interval, why) in [
            ("9ms", "an interval is a number from 10ms to 60s"),
            ("100", "an interval is a number from 10ms to 60s"),
            ("1000ms", "an interval of whole seconds is written in s, as @1s"),
        ] {
            assert_eq!(offer.add_interval(interval).unwrap_err().to_string(), why);
        }
        offer.add_depth(1).unwrap();
        assert_eq!(offer.add_depth(1), Err(OfferError::Twice));
        for depth in 2..=DERIVED_OFFERS_MAX {
            offer.add_depth(depth).unwrap();
        }
        assert_eq!(offer.add_depth(100), Err(OfferError::TooMany));
    }

    #[test]
    fn what_is_offered_unless_something_else_is_said_can_be_derived() {
        let mut offer = nothing();
        let (by_default, mut intervals) = (Offer::default(), Vec::new());
        for depth in by_default.depths.clone() {
            offer.add_depth(depth).unwrap();
        }
        for ms in by_default.intervals_ms.clone() {
            intervals.push(NotOffered::Interval(vec![ms]).to_string());
        }
        for interval in intervals {
            let (_, interval) = interval.split_once('@').unwrap();
            offer.add_interval(interval).unwrap();
        }
        assert_eq!(offer, by_default);
    }
}
