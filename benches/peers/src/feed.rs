//! Lines of standard input, as they come: what is there at once is one burst.
//!
//! Never splits what one read gave, so a publisher that writes several lines at once sees them sent at once.

use crate::messages::{Form, Scribe};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, channel};

/// Publishes every burst until the input ends, then waits to be ended itself: clients may still have to read.
pub(crate) fn run(form: Form, publish: impl FnMut(&[String])) -> io::Result<()> {
    read(&mut io::stdin().lock(), &mut Scribe::new(form), publish)?;
    wait_for_ever();
    Ok(())
}

/// Keeps this thread while others serve.
pub(crate) fn wait_for_ever() {
    let (_open, nothing): (_, Receiver<()>) = channel();
    // The sender lives as long as this function, so the wait has no end.
    let _never = nothing.recv();
}

fn read(input: &mut impl Read, scribe: &mut Scribe, mut publish: impl FnMut(&[String])) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut held = 0;
    let mut burst = Vec::new();
    loop {
        if held == buffer.len() {
            return Err(io::Error::other("a line is longer than a mebibyte"));
        }
        let read = input.read(&mut buffer[held..])?;
        if read == 0 {
            return Ok(());
        }
        let filled = held + read;
        let Some(last) = buffer[..filled].iter().rposition(|byte| *byte == b'\n') else {
            held = filled;
            continue;
        };
        burst.clear();
        for line in buffer[..last].split(|byte| *byte == b'\n') {
            match scribe.message(line) {
                Ok(message) => burst.push(message),
                Err(why) => eprintln!("peers: a line is left out: {why}"),
            }
        }
        publish(&burst);
        buffer.copy_within(last + 1..filled, 0);
        held = filled - (last + 1);
    }
}

const BUFFER_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one piece a read.
    struct Pieces(Vec<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn what_comes_at_once_is_one_burst_and_a_cut_line_waits_for_its_end() {
        let mut bursts = Vec::new();
        let mut pieces = Pieces(vec![b"a\nb\nc", b"d", b"e\n", b"f\ng\n", b"lost"]);
        read(&mut pieces, &mut Scribe::new(Form::Line), |burst| {
            bursts.push(burst.to_vec());
        })
        .unwrap();
        assert_eq!(bursts, [vec!["a", "b"], vec!["cde"], vec!["f", "g"]]);
    }
}
