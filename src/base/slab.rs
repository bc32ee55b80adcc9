//! Slots of a fixed number, named by keys that go stale.
//!
//! A [`Key`] is a slot and the generation of its tenant. Removing a tenant moves the slot to its next
//! generation, so a key kept too long (a late completion, a forgotten subscription) finds nothing instead of
//! somebody else. The number of slots is fixed at construction: beyond it [`Slab::insert`] says no, and never
//! allocates.

/// Names one tenant of a [`Slab`]. Fits the `user_data` of a completion: see [`Key::GENERATION_BITS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    slot: u32,
    generation: u32,
}

impl Key {
    /// A generation wraps at 24 bits, so that kind, generation and slot share one 64-bit word.
    pub const GENERATION_BITS: u32 = 24;
    /// The largest generation.
    pub const GENERATION_MAX: u32 = (1 << Self::GENERATION_BITS) - 1;

    /// A key from its parts; `generation` is cut to its 24 bits.
    #[must_use]
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self {
            slot,
            generation: generation & Self::GENERATION_MAX,
        }
    }

    /// Which slot.
    #[must_use]
    pub const fn slot(self) -> u32 {
        self.slot
    }

    /// Which tenant of that slot.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

/// At most `capacity` values, each found by its [`Key`].
///
/// Memory is reserved at construction and touched slot by slot, so an unused slot costs address space only.
/// Slots are handed out in the order last freed, first used: the hot end of the table stays small.
#[derive(Debug)]
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    capacity: usize,
    free: u32,
    len: usize,
}

/// One slot: odd generations are taken, even ones free.
#[derive(Debug)]
pub struct Slot<T> {
    generation: u32,
    next_free: u32,
    value: T,
}

impl<T: Default> Slab<T> {
    /// An empty slab of `capacity` slots.
    ///
    /// # Panics
    /// When `capacity` does not fit 32 bits.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        assert!(
            u32::try_from(capacity).is_ok_and(|c| c < NONE),
            "slots are numbered in 32 bits"
        );
        Self {
            slots: Vec::with_capacity(capacity),
            capacity,
            free: NONE,
            len: 0,
        }
    }

    /// Takes a slot, or gives the value back when there is none.
    pub fn insert(&mut self, value: T) -> Result<Key, T> {
        let slot = if self.free != NONE {
            let slot = self.free;
            let entry = &mut self.slots[slot as usize];
            self.free = entry.next_free;
            entry.generation = (entry.generation + 1) & Key::GENERATION_MAX;
            entry.value = value;
            slot
        } else if self.slots.len() < self.capacity {
            self.slots.push(Slot {
                generation: 1,
                next_free: NONE,
                value,
            });
            u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
        } else {
            return Err(value);
        };
        self.len += 1;
        Ok(Key::new(slot, self.slots[slot as usize].generation))
    }

    /// Empties the slot of `key` and gives back what was in it; `None` when the key is stale.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        let entry = &mut self.slots[key.slot as usize];
        entry.generation = (entry.generation + 1) & Key::GENERATION_MAX;
        entry.next_free = self.free;
        self.free = key.slot;
        self.len -= 1;
        Some(std::mem::take(&mut entry.value))
    }

    /// The value of `key`; `None` when the key is stale.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.slots.get_mut(key.slot as usize)?;
        (entry.generation == key.generation && entry.generation & 1 == 1).then_some(&mut entry.value)
    }

    /// The value of `key`; `None` when the key is stale.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        let entry = self.slots.get(key.slot as usize)?;
        (entry.generation == key.generation && entry.generation & 1 == 1).then_some(&entry.value)
    }

    /// The key of whoever lives in `slot` now.
    #[must_use]
    pub fn key_at(&self, slot: u32) -> Option<Key> {
        let entry = self.slots.get(slot as usize)?;
        (entry.generation & 1 == 1).then(|| Key::new(slot, entry.generation))
    }

    /// Every key in use, by slot.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        (0..u32::try_from(self.slots.len()).unwrap_or(NONE)).filter_map(|slot| self.key_at(slot))
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many values there can be.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn a_full_slab_gives_the_value_back() {
        let mut slab = Slab::with_capacity(1);
        let key = slab.insert(7).unwrap();
        assert_eq!(slab.insert(8), Err(8));
        assert_eq!(slab.remove(key), Some(7));
        assert!(slab.insert(8).is_ok());
    }

    #[test]
    fn a_generation_wraps_without_reviving_a_free_slot() {
        let mut slab = Slab::<u8>::with_capacity(1);
        slab.slots.push(Slot {
            generation: Key::GENERATION_MAX - 1,
            next_free: NONE,
            value: 0,
        });
        slab.free = 0;
        let last = slab.insert(1).unwrap();
        assert_eq!(last.generation(), Key::GENERATION_MAX);
        slab.remove(last).unwrap();
        let first = slab.insert(2).unwrap();
        assert_eq!(first.generation(), 1);
        assert_eq!(slab.get(last), None);
    }

    proptest! {
        #[test]
        fn behaves_as_a_map_whose_old_keys_find_nothing(ops in prop::collection::vec((any::<bool>(), any::<u16>()), 0..200)) {
            let mut slab = Slab::with_capacity(8);
            let mut live: HashMap<Key, u16> = HashMap::new();
            let mut dead: Vec<Key> = Vec::new();
            for (insert, value) in ops {
                if insert {
                    match slab.insert(value) {
                        Ok(key) => prop_assert!(live.insert(key, value).is_none()),
                        Err(_) => prop_assert_eq!(live.len(), 8),
                    }
                } else if let Some(&key) = live.keys().min() {
                    prop_assert_eq!(slab.remove(key), live.remove(&key));
                    dead.push(key);
                }
                prop_assert_eq!(slab.len(), live.len());
                for key in &dead { prop_assert!(slab.get(*key).is_none() && slab.get_mut(*key).is_none()); }
                for (key, value) in &live { prop_assert_eq!(slab.get(*key), Some(value)); }
                let mut keys: Vec<Key> = live.keys().copied().collect();
                keys.sort();
                prop_assert_eq!(slab.keys().collect::<Vec<_>>(), keys);
            }
        }
    }
}
