//! `tickwire echo`: sends every message back until it is told to stop.

use tickwire::control::StartError;

use crate::args::Echo;
use crate::serve;

pub(crate) fn run(echo: &Echo) -> Result<(), StartError> {
    serve::serve(&echo.config().resolve()?, |address| {
        eprintln!("serving on ws://{address}/");
    })
}
