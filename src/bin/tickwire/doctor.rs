//! `tickwire doctor`: whether this machine has what a server needs.

use std::fmt;

use tickwire::control::doctor::Report;
use tickwire::control::{Machine, StartError};
use tickwire::ring::{Capabilities, probe};

use crate::args::Examined;
use crate::print;

/// Why the command ends with an error.
#[derive(Debug)]
pub(crate) enum Unwell {
    /// No machine could give what was asked for.
    Start(StartError),
    /// This one lacks something.
    Short(usize),
}

pub(crate) fn run(args: &Examined) -> Result<(), Unwell> {
    let resolved = args.server.draft().map_err(Unwell::Start)?;
    let report = Report::new(
        &resolved,
        &Machine::here(),
        probe().map(Capabilities::table_lacks),
    );
    if args.json {
        print(&format!("{:#}\n", report.json()));
    } else {
        print(&report.to_string());
    }
    match report.short() {
        0 => Ok(()),
        short => Err(Unwell::Short(short)),
    }
}

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Short(1) => write!(f, "one check found something short; it says what mends it"),
            Self::Short(short) => write!(f, "{short} checks found something short; each says what mends it"),
        }
    }
}
