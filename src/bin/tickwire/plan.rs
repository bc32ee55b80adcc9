//! `tickwire plan`: what the memory of a server may come to.

use tickwire::control::StartError;

use crate::args::Plan;

pub(crate) fn run(args: &Plan) -> Result<(), StartError> {
    let plan = args.server.draft()?.plan();
    if args.json {
        println!("{:#}", plan.json());
    } else {
        print!("{plan}");
    }
    plan.check()
}
