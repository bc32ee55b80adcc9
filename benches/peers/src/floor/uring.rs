//! One operation of io_uring a socket, silent unless it came short, 2,048 to a submission.

#![expect(unsafe_code, reason = "an entry of the ring points at the bytes to send")]

use super::{Crowd, send_rest};
use io_uring::{IoUring, opcode, squeue, types};
use std::collections::HashSet;
use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

pub(crate) struct Sends {
    ring: IoUring,
    /// Sends that came short: which socket, and how many bytes it took or what was wrong with it.
    short: Vec<(usize, i32)>,
}

impl Sends {
    /// Must be made on the thread that uses it.
    pub(crate) fn new() -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .build(BATCH)?;
        Ok(Self {
            ring,
            short: Vec::new(),
        })
    }

    fn submit(&mut self) -> io::Result<()> {
        while !self.ring.submission().is_empty() {
            self.ring.submit()?;
        }
        let completions = self.ring.completion();
        self.short.extend(completions.map(|completion| {
            let socket = usize::try_from(completion.user_data()).unwrap_or(usize::MAX);
            (socket, completion.result())
        }));
        Ok(())
    }
}

impl Crowd for Sends {
    fn send_all(&mut self, sockets: &mut Vec<TcpStream>, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        for (index, socket) in (0_u64..).zip(sockets.iter()) {
            let entry = opcode::Send::new(types::Fd(socket.as_raw_fd()), bytes.as_ptr(), length)
                .flags(libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS)
                .user_data(index);
            if self.ring.submission().is_full() {
                self.submit()?;
            }
            // SAFETY: `bytes` outlives the last submission below, and with MSG_DONTWAIT a send is over when its
            // submission returns. An error before that ends the thread, which closes the ring unread.
            unsafe { self.ring.submission().push(&entry) }.map_err(io::Error::other)?;
        }
        self.submit()?;
        let mut dropped = HashSet::new();
        for (index, result) in self.short.drain(..) {
            let sent = match usize::try_from(result) {
                Ok(sent) => sent,
                Err(_) if result == -libc::EAGAIN => 0,
                Err(_) => {
                    dropped.insert(index);
                    continue;
                }
            };
            if send_rest(&mut sockets[index], &bytes[sent..]).is_err() {
                dropped.insert(index);
            }
        }
        if !dropped.is_empty() {
            let mut index = 0;
            sockets.retain(|_| {
                index += 1;
                !dropped.contains(&(index - 1))
            });
        }
        Ok(())
    }
}

const BATCH: u32 = 2048;
