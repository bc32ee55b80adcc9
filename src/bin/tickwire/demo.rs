//! `tickwire demo`: the simulated market, and what to type next.

use std::net::SocketAddr;

use tickwire::control::StartError;

use crate::args::Demo;
use crate::serve;

pub(crate) fn run(demo: &Demo) -> Result<(), StartError> {
    serve::serve(&demo.config().resolve()?, |address| {
        println!("{}", what_next(address));
    })
}

fn what_next(address: SocketAddr) -> String {
    format!(
        "A simulated market is live on ws://{address}/v1/ws (Ctrl-C ends it). In another terminal:

  tickwire sub ws://{address} 'trade:*'                 trades, with their latency
  tickwire sub ws://{address} bbo:BTC-USD book:BTC-USD  quotes and a level-2 book
  websocat 'ws://{address}/v1/ws?ch=trade:BTC-USD'      any WebSocket client will do

or in a browser's console:

  new WebSocket('ws://{address}/v1/ws?ch=trade:*').onmessage = m => console.log(m.data)
"
    )
}
