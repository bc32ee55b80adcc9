//! A follower on the simulated network, and how it reads.

use tickwire::base::Prng;
use tickwire::ring::{Client as Socket, ClientState};

use super::truth::Truth;
use super::wire::Wire;

pub struct Client {
    prng: Prng,
    pub wire: Wire,
    socket: Option<Socket>,
    /// The number of its server.
    server: usize,
}

impl Client {
    pub fn new(mut prng: Prng) -> Self {
        Self {
            wire: Wire::new(Prng::new(prng.next_u64())),
            socket: None,
            server: 0,
            prng,
        }
    }

    /// One who follows everything.
    pub fn of_everything(mut prng: Prng) -> Self {
        let channels = vec!["*".to_owned()];
        Self {
            wire: Wire::following(channels, Prng::new(prng.next_u64())),
            socket: None,
            server: 0,
            prng,
        }
    }

    pub fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    pub fn connect(&mut self, socket: Socket, server: usize) {
        self.server = server;
        self.socket = Some(socket);
        self.wire.begin();
    }

    /// Does something, or nothing.
    pub fn act(&mut self) {
        let Some(socket) = &mut self.socket else { return };
        if self.wire.closing {
            return;
        }
        match self.prng.below(30) {
            0..=3 => self.wire.subscribe(),
            4 | 5 => self.wire.unsubscribe(),
            6..=10 => socket.set_pace(0),
            11..=14 => socket.set_pace(1 + self.prng.below(600) as usize),
            15..=20 => socket.set_pace(usize::MAX),
            21 => {
                socket.reset();
                self.part();
            }
            22 => {
                socket.finish();
                self.part();
            }
            23 => self.wire.say_goodbye(),
            _ => {}
        }
    }

    fn part(&mut self) {
        self.socket = None;
        self.wire.follower.part();
    }

    pub fn read_all(&mut self) {
        if let Some(socket) = &mut self.socket {
            socket.set_pace(usize::MAX);
        }
    }

    pub fn has_more_to_say(&self) -> bool {
        self.socket.is_some() && !self.wire.outgoing.is_empty()
    }

    /// Moves bytes both ways; says whether any moved.
    pub fn pump(&mut self, truths: &[Truth]) -> bool {
        let Some(socket) = &mut self.socket else {
            return false;
        };
        let mut moved = false;
        while !self.wire.outgoing.is_empty() {
            let most = 1 + self.prng.below(4096) as usize;
            let most = most.min(self.wire.outgoing.len());
            let taken = socket.write(&self.wire.outgoing[..most]);
            self.wire.outgoing.drain(..taken);
            moved |= taken > 0;
            if taken < most {
                break;
            }
        }
        if socket.read(&mut self.wire.incoming) > 0 {
            moved = true;
            self.wire.digest(&truths[self.server]);
        }
        if matches!(socket.state(), ClientState::Ended | ClientState::Reset) {
            socket.finish();
            self.part();
        }
        moved
    }
}
