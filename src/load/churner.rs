//! The part of those who come for one message: asked as soon as the connection is ready, and closed with the answer.
//!
//! Never asks twice.

use super::mark::{Mark, Scan};
use super::part::{Desk, Part, Talk, Verdict};
use super::template::Template;
use super::windows::Row;
use memchr::memmem::Finder;

/// Asks once.
#[derive(Debug)]
pub(super) struct Churner {
    question: Question,
    asked: u32,
}

/// What is asked, and what is an answer.
#[derive(Debug)]
pub(super) enum Question {
    /// A message with a mark, and the same mark.
    Echo(Template, Scan),
    /// This text, and a message with that one in it.
    Text {
        /// What is asked.
        ask: String,
        /// What is in the answer.
        answer: Finder<'static>,
    },
}

impl Churner {
    pub(super) const fn new(question: Question) -> Self {
        Self { question, asked: 0 }
    }
}

impl Part for Churner {
    const CHURNS: bool = true;

    fn ready(&mut self, talk: &mut Talk<'_>, desk: &mut Desk<'_>) {
        let n = self.asked;
        self.asked = n.wrapping_add(1);
        talk.line.next = n;
        let at_ns = desk.now_ns;
        let question = match &mut self.question {
            Question::Echo(template, _) => template.fill(Mark { n, at_ns }),
            Question::Text { ask, .. } => ask,
        };
        talk.say(question, at_ns, desk);
    }

    fn message(&mut self, talk: &mut Talk<'_>, text: &[u8], desk: &mut Desk<'_>) -> Verdict {
        let answered = match &self.question {
            Question::Echo(_, scan) => scan.marks(text).any(|mark| mark.n == talk.line.next),
            Question::Text { answer, .. } => answer.find(text).is_some(),
        };
        if !answered {
            return Verdict::GoOn;
        }
        let window = desk.shared.windows.of(talk.line.intended_ns);
        let latency_ns = desk.now_ns.saturating_sub(talk.line.since_ns);
        desk.outcome.latencies.record(Row::Message, window, latency_ns, 1);
        desk.outcome.group(talk.line.group).delivered += 1;
        desk.tally.delivered.add(1);
        Verdict::Close
    }
}
