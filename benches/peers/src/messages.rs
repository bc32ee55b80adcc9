//! What is sent for one line of input.
//!
//! Never looks at who receives it. In tickwire's form a message is, byte for byte but for the times, what tickwire sends
//! for the same line, so that what is compared is the sending and not the size.

use clap::ValueEnum;
use std::collections::HashMap;
use tickwire::dialect::native_json::{Input, Stamp, encode};
use tickwire::market::Level;
use tickwire::wire::{Opcode, server_header};
use tickwire::writer::Clock;

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// It is sent as it is read.
    Line,
    /// It gets a number and the time, as tickwire's writer does it.
    Tickwire,
}

/// Makes messages of lines.
#[derive(Debug)]
pub(crate) struct Scribe {
    form: Form,
    clock: Clock,
    levels: Vec<Level>,
    /// The number given last, by channel.
    numbers: HashMap<Box<str>, u64>,
}

impl Scribe {
    pub(crate) fn new(form: Form) -> Self {
        Self {
            form,
            clock: Clock::start(),
            levels: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    /// The message for a line, which has no line end.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub(crate) fn message(&mut self, line: &[u8]) -> Result<String, String> {
        let text = match self.form {
            Form::Line => line.to_vec(),
            Form::Tickwire => self.encoded(line)?,
        };
        String::from_utf8(text).map_err(|error| error.to_string())
    }

    fn encoded(&mut self, line: &[u8]) -> Result<Vec<u8>, String> {
        let now = self.clock.now();
        let input = Input::parse(line, &mut self.levels).map_err(|error| error.to_string())?;
        let channel = input.channel.as_str();
        let number = match self.numbers.get_mut(channel) {
            Some(number) => number,
            None => self.numbers.entry(channel.into()).or_default(),
        };
        *number += 1;
        let stamp = Stamp {
            channel,
            seq: *number,
            ts_ns: input.ts_ns.unwrap_or(now.wall_ns),
            pt_ns: now.wall_ns,
        };
        let mut out = Vec::new();
        encode(&mut out, &stamp, &input.tick);
        Ok(out)
    }
}

/// All the messages as frames, one behind the other.
pub(crate) fn framed(messages: &[String]) -> Vec<u8> {
    let mut frames = Vec::new();
    for message in messages {
        frames.extend_from_slice(server_header(Opcode::Text, message.len()).as_slice());
        frames.extend_from_slice(message.as_bytes());
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickwire::base::Now;
    use tickwire::tape::{self, Shape};
    use tickwire::writer::Sequencer;
    use tickwire::writer::formats::NATIVE_JSON;
    use tickwire::writer::source::Event;

    /// The frames that tickwire's own writer puts on the tape for the lines.
    fn frames_of_tickwire(lines: &[&str]) -> Vec<u8> {
        let shape = Shape {
            records: tickwire::limits::TAPE_RECORDS_MIN,
            track_bytes: vec![tickwire::limits::TRACK_BYTES_MIN],
            readers: 1,
        };
        let (writer, mut readers) = tape::new(&shape).unwrap();
        let mut sequencer = Sequencer::new(writer);
        let now = Now {
            mono_ns: 1,
            wall_ns: 1_700_000_000_000_000_000,
        };
        let mut levels = Vec::new();
        for line in lines {
            let input = Input::parse(line.as_bytes(), &mut levels).unwrap();
            let event = Event {
                channel: input.channel.as_str(),
                ts_ns: input.ts_ns.unwrap_or(now.wall_ns),
                tick: input.tick,
            };
            sequencer.publish(&event, now).unwrap();
            sequencer.settle().unwrap();
        }
        let reader = &mut readers[0];
        reader.pin();
        let written = reader.range(NATIVE_JSON);
        let bytes = usize::try_from(written.end - written.start).unwrap();
        reader.bytes(NATIVE_JSON, written.start, bytes).to_vec()
    }

    #[test]
    fn a_message_in_tickwires_form_is_tickwires_but_for_the_times() {
        let lines = [
            r#"{"t":"trade","ch":"trade:BTC-USD","px":"61685.99","sz":"0.10","side":"buy","tid":"77"}"#,
            r#"{"t":"msg","ch":"room:42","data":{"hi":1}}"#,
            r#"{"t":"trade","ch":"trade:BTC-USD","px":"61686","sz":"1","side":"sell","ts":1700000000000000001}"#,
        ];
        let mut scribe = Scribe::new(Form::Tickwire);
        let messages: Vec<String> = lines
            .iter()
            .map(|line| scribe.message(line.as_bytes()).unwrap())
            .collect();
        let (ours, tickwires) = (framed(&messages), frames_of_tickwire(&lines));
        assert_eq!(ours.len(), tickwires.len());
        assert_eq!(without_times(&ours), without_times(&tickwires));
    }

    /// Digits of nanoseconds since the epoch, blotted out.
    fn without_times(frames: &[u8]) -> Vec<u8> {
        let mut bytes = frames.to_vec();
        for at in 0..bytes.len().saturating_sub(NANOSECONDS_DIGITS) {
            let digits = &mut bytes[at..at + NANOSECONDS_DIGITS];
            if digits.iter().all(u8::is_ascii_digit) {
                digits.fill(b'#');
            }
        }
        bytes
    }

    #[test]
    fn a_line_is_sent_as_it_is_read_unless_told_otherwise() {
        let mut scribe = Scribe::new(Form::Line);
        assert_eq!(scribe.message(b"any text").unwrap(), "any text");
        assert!(scribe.message(b"\xff").is_err());
        assert_eq!(framed(&["ab".to_owned(), "c".to_owned()]), b"\x81\x02ab\x81\x01c");
    }

    #[test]
    fn a_line_that_tickwire_would_refuse_is_refused() {
        assert!(Scribe::new(Form::Tickwire).message(b"{}").is_err());
    }

    const NANOSECONDS_DIGITS: usize = 19;
}
