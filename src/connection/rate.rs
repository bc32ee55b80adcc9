//! How fast one client talks.

/// Counts commands within one second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    second: u32,
    count: u16,
}

impl Rate {
    /// Takes back the command counted last: it was not carried out yet.
    pub fn forgive(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// Counts `commands` commands at `now_ms` and says whether there were at most `max` within this second.
    pub fn admit(&mut self, now_ms: u64, commands: u16, max: u16) -> bool {
        let second = u32::try_from((now_ms / 1000) & u64::from(u32::MAX)).unwrap_or(0);
        if second != self.second {
            *self = Self { second, count: 0 };
        }
        self.count = self.count.saturating_add(commands);
        self.count <= max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_admits_so_many_a_second() {
        let mut rate = Rate::default();
        let admitted = (0..60).filter(|_| rate.admit(1_500, 1, 50)).count();
        assert_eq!(admitted, 50);
        assert!(!rate.admit(1_999, 1, 50));
        assert!(rate.admit(2_000, 33, 50), "a large command counts as many");
        assert!(!rate.admit(2_000, 33, 50));
    }
}
