//! Publishing: who a client is, whether it may, and the errand that its message becomes.
//!
//! What a message says is read by the writer, which numbers it; the shard reads no more of it than where it goes.

use super::converse::{Caller, Desk, Reply};
use super::errands::Unsent;
use crate::connection::Pause;
use crate::dialect::Code;
use crate::dialect::errand::{Errand, Publish, Want};
use crate::dialect::native_json::Command;
use crate::dialect::native_json::reply::write_welcome;
use crate::market::ChannelName;

impl Desk<'_> {
    /// Has a message published, if the client may publish on its channel; `None` where it may not.
    ///
    /// This counts neither as a command nor as a frame: what the writer takes is the bound, and whoever is faster than that
    /// is not read from.
    pub(super) fn publish(&mut self, caller: &mut Caller<'_>, command: &Command<'_>) -> Option<Reply> {
        let Command::Publish {
            id,
            channel,
            key,
            text,
        } = command
        else {
            return None;
        };
        let name = ChannelName::parse(channel).ok()?;
        let publisher = *caller.publisher;
        if !self.site.publishers.may(publisher, name) {
            return None;
        }
        let publish = Publish {
            publisher,
            channel: channel.as_ref().into(),
            key: key.as_deref().map(Into::into),
            text: (*text).into(),
        };
        let errand = Errand {
            client: caller.key,
            id: *id,
            want: Want::Publish(Box::new(publish)),
        };
        let reply = self.ask(caller.key, caller.under_way, errand);
        caller.published += usize::from(reply == Reply::Given);
        Some(reply)
    }

    /// Has channels opened that the client wants to subscribe to and that are there as soon as they are asked for; the request
    /// waits for that. `None` where there is no such channel, or all were asked for.
    pub(super) fn open_first(&mut self, caller: &mut Caller<'_>, command: &Command<'_>) -> Option<Reply> {
        let Command::Subscribe { id, channels, .. } = command else {
            return None;
        };
        if std::mem::take(caller.asked) {
            return None;
        }
        let is_lacking = |text: &str| {
            let name = ChannelName::parse(text).ok();
            name.is_some_and(|name| self.site.publishers.may_open(*caller.publisher, name))
                && !self.hub.knows(text)
        };
        let names: Box<[Box<str>]> = channels
            .iter()
            .filter(|channel| is_lacking(channel))
            .map(|channel| channel.as_ref().into())
            .collect();
        if names.is_empty() {
            return None;
        }
        let errand = Errand {
            client: caller.key,
            id: *id,
            want: Want::Open(names),
        };
        match self.errands.send(errand) {
            Ok(()) => {
                *caller.under_way += 1;
                *caller.asked = true;
                Some(Reply::NotYet(Pause::Answers))
            }
            Err(Unsent::Full) => {
                self.errands.wait(caller.key);
                Some(Reply::NotYet(Pause::Room))
            }
            Err(Unsent::Closed) => None,
        }
    }

    /// Says why the client may not publish on the channel.
    pub(super) fn refuse_publish(&mut self, id: Option<u64>, channel: &str) {
        match ChannelName::parse(channel) {
            Ok(name) => {
                let message = format!("ch: this connection may not publish on {name}");
                self.error(id, Code::NotAuthorised, &message);
            }
            Err(error) => self.error(id, Code::UnknownChannel, &format!("ch: {error}")),
        }
    }

    /// The client is whoever its token says, from now on. One that nobody has changes nothing.
    pub(super) fn authenticate(&mut self, caller: &mut Caller<'_>, id: Option<u64>, token: &str) {
        let publishers = &self.site.publishers;
        let Some(publisher) = publishers.of_token(token) else {
            return self.error(id, Code::Unauthenticated, "token: nobody has this one");
        };
        *caller.publisher = publisher;
        self.site.text.clear();
        write_welcome(&mut self.site.text, id, publishers.name(publisher));
        self.site.frame_text();
    }
}
