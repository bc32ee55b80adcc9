//! A book as a table of texts, and a fingerprint of it that costs nothing to keep.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

/// Sizes by side and price, with what they sum up to.
#[derive(Clone, Debug, Default)]
pub struct Book {
    sizes: [BTreeMap<String, String>; 2],
    print: Print,
}

/// What a book comes to: the sum of its levels' hashes, and how many they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Print {
    sum: u64,
    levels: u64,
}

impl Book {
    pub fn print(&self) -> Print {
        self.print
    }

    /// Sets the size at a price, or deletes it where that is zero.
    pub fn set(&mut self, side: usize, price: &str, size: &str) {
        let is_zero = !size.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        let before = if is_zero {
            self.sizes[side].remove(price)
        } else {
            self.sizes[side].insert(price.to_owned(), size.to_owned())
        };
        if let Some(before) = before {
            self.print.sum = self.print.sum.wrapping_sub(hash(&(side, price, &before)));
            self.print.levels -= 1;
        }
        if !is_zero {
            self.print.sum = self.print.sum.wrapping_add(hash(&(side, price, size)));
            self.print.levels += 1;
        }
    }
}

/// A number that stands for some content.
pub fn hash(content: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}
