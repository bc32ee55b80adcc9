//! A plan as people and programs read it: a table, one line, JSON.

use std::fmt;

use serde_json::{Value, json};

use super::Plan;
use crate::base::cost::{Cost, Part};
use crate::control::Bytes;
use crate::limits;

impl Plan {
    /// As JSON, every number in bytes.
    #[must_use]
    pub fn json(&self) -> Value {
        let line = |cost: &Cost| {
            json!({
                "part": cost.part.name(),
                "what": cost.what,
                "count": cost.count,
                "bytes_each": cost.bytes_each,
                "bytes": cost.bytes(),
            })
        };
        let parts = Part::ALL.map(|part| (part.name().to_owned(), self.part(part).0.into()));
        json!({
            "connections": self.resolved.connections,
            "shards": self.resolved.shards,
            "connections_per_shard": self.resolved.connections_per_shard(),
            "descriptors": self.resolved.descriptors_needed(),
            "items": self.costs.iter().map(line).collect::<Vec<_>>(),
            "parts": Value::Object(parts.into_iter().collect()),
            "bytes": self.total().0,
            "bytes_per_idle_connection": self.idle_connection().0,
            "memory": self.resolved.memory.map(|memory| memory.0),
            "fits": self.check().is_ok(),
            "kernel_estimate": {
                "bytes_per_idle_connection": limits::KERNEL_CONNECTION_BYTES,
                "bytes_idle": self.kernel_idle().0,
                "bytes_per_full_send_buffer": self.kernel_send_buffer().0,
            },
        })
    }

    /// In one line: the total, and what it is made of.
    #[must_use]
    pub fn line(&self) -> String {
        let parts = Part::ALL.map(|part| format!("{} {}", part.name(), self.part(part)));
        format!(
            "at most {} ({}); {} per idle connection; in the kernel about {} while all are idle",
            self.total(),
            parts.join(", "),
            self.idle_connection(),
            self.kernel_idle()
        )
    }
}

/// The table.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resolved = &self.resolved;
        writeln!(
            f,
            "memory of a server for {} on {}, each with room for {}",
            counted(resolved.connections, "connection"),
            counted(resolved.shards, "shard"),
            grouped(resolved.connections_per_shard()),
        )?;
        row(f, ["", "", "count", "each", "bytes at most"])?;
        for part in Part::ALL {
            let mut name = part.name();
            let costs = self
                .costs
                .iter()
                .filter(|cost| cost.part == part && cost.count > 0);
            for cost in costs {
                let each = Bytes::of(cost.bytes_each).to_string();
                let all = Bytes::of(cost.bytes()).to_string();
                row(f, [name, cost.what, &grouped(cost.count), &each, &all])?;
                name = "";
            }
        }
        row(f, ["total", "", "", "", &self.total().to_string()])?;
        let one = self.idle_connection().to_string();
        row(f, ["", "an idle connection, of that", "", &one, ""])?;
        let (each, all) = (limits::KERNEL_CONNECTION_BYTES, self.kernel_idle());
        writeln!(f, "in the kernel besides, by estimate")?;
        let count = grouped(resolved.connections);
        row(
            f,
            [
                "kernel",
                "idle connections",
                &count,
                &Bytes::of(each).to_string(),
                &all.to_string(),
            ],
        )?;
        let buffer = self.kernel_send_buffer().to_string();
        row(
            f,
            [
                "",
                "full send buffer, for each that does not read",
                "",
                &buffer,
                "",
            ],
        )
    }
}

fn row(f: &mut fmt::Formatter<'_>, [part, what, count, each, all]: [&str; 5]) -> fmt::Result {
    let line = format!("{part:<14}{what:<46}{count:>14}{each:>11}{all:>15}");
    writeln!(f, "{}", line.trim_end())
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// A number with its thousands set apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
