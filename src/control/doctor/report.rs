//! A report as people and programs read it.

use std::fmt;

use serde_json::{Value, json};

use super::{Report, Verdict};

impl Report {
    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let check = |finding: &super::Finding| {
            json!({
                "what": finding.what,
                "verdict": finding.verdict.name(),
                "have": finding.have,
                "need": finding.need,
                "cure": finding.cure,
            })
        };
        json!({
            "ok": self.short() == 0,
            "checks": self.findings.iter().map(check).collect::<Vec<_>>(),
        })
    }
}

impl Verdict {
    /// As it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Short => "short",
            Self::Unknown => "unknown",
            Self::Note => "note",
        }
    }
}

/// A table, with the cure below what is short.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = |of: fn(&super::Finding) -> &str| {
            let widths = self.findings.iter().map(|finding| of(finding).len());
            widths.max().unwrap_or(0)
        };
        let what = widest(|finding| finding.what);
        let have = widest(|finding| &finding.have);
        writeln!(f, "{:<9}{:<what$}  {:<have$}  need", "", "check", "have")?;
        for finding in &self.findings {
            writeln!(
                f,
                "{:<9}{:<what$}  {:<have$}  {}",
                finding.verdict.name(),
                finding.what,
                finding.have,
                finding.need
            )?;
            if let Some(cure) = &finding.cure {
                writeln!(f, "{:<9}→ {cure}", "")?;
            }
        }
        Ok(())
    }
}
