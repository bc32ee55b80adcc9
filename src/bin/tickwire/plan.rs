//! `tickwire plan`: what the memory of a server may come to.

use tickwire::control::StartError;

use crate::args::Examined;
use crate::print;

pub(crate) fn run(args: &Examined) -> Result<(), StartError> {
    let plan = args.server.draft()?.plan();
    if args.json {
        print(&format!("{:#}\n", plan.json()));
    } else {
        print(&plan.to_string());
    }
    plan.check()
}
