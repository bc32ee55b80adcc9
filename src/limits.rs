//! Every bound of the program, in one place, each with what happens when it is reached.
//!
//! Nothing here depends on anything else. Bounds that lean on each other are tied together by the
//! compile-time assertions in `ties.rs`, so that changing one alone fails the build.

mod ties;

// ---- wire: what a peer may send ------------------------------------------------------------

/// Bytes of an HTTP request or response head, end of head included. Beyond: 431, then closed.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header fields in one head. Beyond: 431, then closed.
pub const HEAD_FIELDS_MAX: usize = 64;
/// Bytes of the request target (RFC 9112 §3 asks for 8,000 at least where paths are long; ours are not).
/// Beyond: 414, then closed.
pub const TARGET_BYTES_MAX: usize = 4 * 1024;
/// Subprotocols that a client offers at once. Beyond: 400, then closed.
pub const PROTOCOLS_OFFERED_MAX: usize = 32;
/// Bytes of one client message, all its fragments together. Beyond: close 1009.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Payload bytes of a control frame (RFC 6455 §5.5). Beyond: close 1002.
pub const CONTROL_BYTES_MAX: usize = 125;
/// Deflate streams, each ended by a final block, that one compressed message may be made of (RFC 7692 §7.2.3.4).
/// Beyond: close 1007.
pub const DEFLATE_STREAMS_MAX: usize = 1024;
/// Bytes of a close reason: a control payload less the two bytes of the code. Ours are cut to fit.
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;
/// Bytes of the longest frame header: 2, an 8-byte length, a 4-byte mask (RFC 6455 §5.2).
pub const FRAME_HEADER_BYTES_MAX: usize = 14;
/// Bytes of the longest frame header that a server sends: as above, unmasked. An encoder leaves this much room
/// before a payload whose length it does not know yet.
pub const SERVER_HEADER_BYTES_MAX: usize = FRAME_HEADER_BYTES_MAX - 4;

// ---- market and dialect: what a message may say ---------------------------------------------

/// Bytes of a channel name, `kind:symbol`. Longer: error 4004 for that name, or a bad source line.
pub const CHANNEL_NAME_BYTES_MAX: usize = 64;
/// Patterns of channels about which a configuration may say something. Beyond: refused at start.
pub const CHANNEL_RULES_MAX: usize = 1024;
/// Channels named in one request. Beyond: error 4000 for the request.
pub const REQUEST_CHANNELS_MAX: usize = 1024;
/// Digits of a decimal's mantissa that are kept. Longer text is a bad line.
pub const DECIMAL_DIGITS_MAX: usize = 18;
/// The power of ten of a number that goes on the tape lies between its negative and itself. Beyond: a bad line.
pub const DECIMAL_EXPONENT_MAX: u8 = 18;
/// Bytes of the longest such number's text: a sign, a point, and digits and zeros on either side of it.
pub const DECIMAL_TEXT_BYTES_MAX: usize = 2 + DECIMAL_DIGITS_MAX + DECIMAL_EXPONENT_MAX as usize;
/// Levels on one side of a book. A line that would need more is a bad line.
pub const BOOK_LEVELS_MAX: usize = 6_000;
/// Milliseconds of the shortest interval of a derived channel. Shorter: error 4004 for that name.
pub const DERIVED_INTERVAL_MS_LEAST: u32 = 10;
/// Those of the longest, whole seconds. Longer: likewise.
pub const DERIVED_INTERVAL_MS_MOST: u32 = 60_000;
/// Bytes of one line of a source. Longer: a bad line, skipped to its end.
pub const SOURCE_LINE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a venue's name for a trade. Longer: a bad line.
pub const TRADE_ID_BYTES_MAX: usize = 64;
/// Bytes of the time that a `ping` wants back. Longer: error 4000.
pub const PING_TIME_BYTES_MAX: usize = 64;
/// Bytes, as JSON writes them, of a channel name in a reply. Longer, as only names that are none can be: cut.
pub const REPLY_NAME_BYTES_MAX: usize = 96;
/// Bytes, as JSON writes them, of what an acknowledgement says against one channel. Longer: cut.
pub const ACK_REASON_BYTES_MAX: usize = 112;
/// Bytes, as JSON writes them, of what an error says. Longer: cut.
pub const ERROR_REASON_BYTES_MAX: usize = 512;

// ---- tape -----------------------------------------------------------------------------------

/// Shards of one server. Beyond: refused at start.
pub const SHARDS_MAX: usize = 256;
/// Readers of one tape: the shards, and of a feed the control thread. Beyond: refused at start.
pub const READERS_MAX: usize = SHARDS_MAX + 1;
/// Tracks of one tape, so wire formats at once. Beyond: refused at start.
pub const TRACKS_MAX: usize = 8;
/// Channels of one server. Beyond: the line that would open another is a bad line.
pub const CHANNELS_MAX: usize = 64 * 1024;
/// Depths of a book that clients may have, unless the configuration says others. Any other: error 4004 for that name.
pub const DERIVED_DEPTHS_DEFAULT: [usize; 10] = [1, 2, 3, 5, 10, 20, 50, 100, 500, 1_000];
/// Milliseconds of the intervals that clients may have, unless the configuration says others. Any other: likewise.
pub const DERIVED_INTERVALS_MS_DEFAULT: [u32; 8] = [20, 50, 100, 250, 500, 1_000, 5_000, 10_000];
/// Depths that a configuration offers, and intervals. Beyond: refused at start.
pub const DERIVED_OFFERS_MAX: usize = 64;
/// Patterns of which a greeting says the class of their channels. Beyond: it says that it does not say.
pub const HELLO_CLASSES_MAX: usize = 32;
/// Derived channels of one server, and at most one for each [`DERIVED_RECORDS_DIVISOR`] records of the index: whoever has
/// named one, now or before, has made it. Beyond: error 4503 for the name of another.
pub const DERIVED_CHANNELS_MAX: usize = 4_096;
/// See the former.
pub const DERIVED_RECORDS_DIVISOR: usize = 16;
/// Derived channels of one base that somebody has subscribed to: each message of the base is looked at for each of them.
/// Beyond: error 4503 for the name of another.
pub const DERIVED_PER_BASE_MAX: usize = 128;
/// From finding no room for what a derived channel has to say, beside the states of all others, to the next attempt. It is
/// late until then, and the server's log says so.
pub const DERIVED_RETRY_MS: u64 = 1_000;
/// From the last subscriber of a derived channel to its end, more or less as much again: whoever comes back soon goes on
/// without a new state.
pub const DERIVED_LINGER_MS: u64 = 1_000;
/// Kinds of channel (what stands before the colon). Beyond: as for channels.
pub const KINDS_MAX: usize = 256;
/// Records that the index holds unless the command line says otherwise; a power of two.
pub const TAPE_RECORDS_DEFAULT: usize = 256 * 1024;
/// The least and the most that may be. Beyond: refused at start.
pub const TAPE_RECORDS_MIN: usize = 64;
/// See the former.
pub const TAPE_RECORDS_MAX: usize = 1 << 28;
/// Bytes of a track unless the command line says otherwise; a power of two.
pub const TRACK_BYTES_DEFAULT: usize = 64 * 1024 * 1024;
/// The least a track may be: what follows from [`FRAME_BYTES_MAX`]. Less: refused at start.
pub const TRACK_BYTES_MIN: usize = 16 * FRAME_BYTES_MAX;
/// The part of the tape (one in so many) that the writer clears ahead of its head, so that it seldom waits.
pub const TAPE_MARGIN_DIVISOR: usize = 8;
/// The base-2 logarithm of the window that messages are compressed with, once for all clients (RFC 7692 §7.1.2.1). Clients
/// that want a smaller one get no compression. A larger one would leave out those that ask for 4 KiB, as some do
/// unless they are told otherwise, and ticks are shorter than that.
pub const TRACK_WINDOW_BITS: u8 = 12;
/// Bytes from which a message is compressed unless the command line says otherwise.
pub const COMPRESSION_THRESHOLD_DEFAULT: usize = 512;
/// Bytes of one frame on the tape. A longer message is a bad line.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

// ---- control: the configuration -------------------------------------------------------------

/// Bytes of a configuration's file. Beyond: refused at start.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1024 * 1024;

// ---- control: the history ---------------------------------------------------------------------

/// Records of the tape's index that the control thread reads under one pin. Beyond: it lets go, and pins anew.
pub const HISTORY_RECORDS_PER_PIN: usize = 4096;
/// Times that the tape is walked until a walk has seen all of it: as often may its end overtake the walk. Beyond: what the walk
/// before found is reported once more.
pub const HISTORY_WALKS_MAX: u64 = 4;
/// A walk that is not older does for whoever asks.
pub const HISTORY_FRESH_MS: u64 = 1_000;
/// Channels of which a report of the history says how far back it reaches: those with the shortest; the others are counted.
pub const HISTORY_LINES_MAX: usize = 64;

// ---- control: the admin port ------------------------------------------------------------------

/// Connections to the admin port at once. Beyond: they wait in the kernel to be accepted.
pub const ADMIN_CONNECTIONS_MAX: usize = 16;
/// From accept to the end of the request's head. Beyond: closed.
pub const ADMIN_HEAD_MS: u64 = 5_000;
/// From accept to the end of the answer. Beyond: closed.
pub const ADMIN_CONNECTION_MS: u64 = 10_000;
/// Bytes of a request's head. Beyond: 431, then closed; it has at most [`HEAD_FIELDS_MAX`] fields.
pub const ADMIN_HEAD_BYTES_MAX: usize = HEAD_BYTES_MAX;
/// Channels that have metrics: those that were opened first. Beyond: a metric counts them.
pub const ADMIN_CHANNELS_MAX: usize = 1_000;
/// Bytes that an answer has room for: more than there can be of metrics.
pub const ADMIN_ANSWER_BYTES: usize = 1024 * 1024;

// ---- writer: sources ------------------------------------------------------------------------

/// Bytes read from a source's file in one go.
pub const SOURCE_READ_BYTES: usize = 64 * 1024;
/// Bytes that a compressed capture is inflated by before its lines are delivered; the rest waits compressed.
pub const SOURCE_INFLATE_BYTES: usize = 256 * 1024;
/// Warnings about single lines of a source in one second. Beyond: counted, and the count is told later.
pub const SOURCE_WARNINGS_PER_SECOND: u64 = 5;
/// Depth deltas of a symbol that a capture remembers, so that a snapshot that was recorded late can be brought
/// up to date. A snapshot that is older than all of them is a bad line.
pub const CAPTURE_DELTAS_KEPT: usize = 64;
/// Levels on one side of a simulated book. An order further away is cancelled.
pub const SIM_BOOK_LEVELS: usize = 40;

/// Events that the writer publishes amid a burst before it rings for sleeping shards.
pub const EVENTS_PER_BELL: u64 = 64;
/// Events of a source that the writer publishes amid a burst before it looks whether clients want something.
pub const EVENTS_PER_LOOK: u64 = 8;

// ---- writer: the journal ----------------------------------------------------------------------

/// Messages that are journaled at once, and so shown at once. Beyond: they are written before more are published.
pub const JOURNAL_BATCH_MESSAGES: u64 = 1024;
/// Bytes that are journaled at once, one message and its channel's name more or less. Beyond: likewise.
pub const JOURNAL_BATCH_BYTES: usize = 256 * 1024;
/// Bytes of channels' states that a batch adds to a segment that was begun by rotation, more or less one state. Beyond:
/// they go into the next batch.
pub const JOURNAL_CHECKPOINT_BYTES: usize = 64 * 1024;
/// How long the feed waits for the journal's disk. Beyond: it goes on and is not journaled, see `docs/journal.md`.
pub const JOURNAL_STALL_MS: u64 = 2_000;
/// Between two attempts to journal again.
pub const JOURNAL_RETRY_MS: u64 = 1_000;
/// Between syncs unless the command line says otherwise.
pub const JOURNAL_SYNC_MS_DEFAULT: u64 = 100;
/// The most that the command line may say. Beyond: refused at start.
pub const JOURNAL_SYNC_MS_MOST: u64 = 60_000;
/// Bytes of messages from which on a segment is finished, unless the command line says otherwise.
pub const JOURNAL_SEGMENT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// The least that the command line may say. Less: refused at start.
pub const JOURNAL_SEGMENT_BYTES_LEAST: u32 = 64 * 1024;
/// The most that it may say. Beyond: refused at start.
pub const JOURNAL_SEGMENT_BYTES_MOST: u32 = 1024 * 1024 * 1024;
/// Bytes that a journal's segments may take unless the command line says otherwise. Beyond: the oldest are removed.
pub const JOURNAL_RETAIN_BYTES_DEFAULT: u64 = 1024 * 1024 * 1024;
/// Bytes of a segment that are read in one go when a server starts.
pub const JOURNAL_READ_BYTES: usize = 256 * 1024;

// ---- hub and connection ---------------------------------------------------------------------

/// Subscriptions of one connection. Beyond: error 4005 for that channel.
pub const SUBSCRIPTIONS_PER_CONNECTION_MAX: u32 = 1024;
/// Subscriptions that a shard has memory for, for each connection it serves, unless the command line says otherwise.
/// Beyond: error 4503 for that channel.
pub const SUBSCRIPTIONS_PER_CONNECTION_PLANNED: usize = 16;
/// Tape ranges that are noted for a connection within one round. The first has room in each slot, the others in what two
/// slots share. Beyond, or where there is none: it is caught up from the tape.
pub const RANGES_PER_TURN: usize = 4;
/// Bytes of one such range. Beyond: another one begins; all of a round's go into one send, which takes less than 2 GiB.
pub const RANGE_BYTES_MAX: u32 = 256 * 1024 * 1024;
/// Bytes of private replies that a connection may owe. Beyond [`OUTBOX_BYTES_PAUSE`] its commands wait unread.
pub const OUTBOX_BYTES_MAX: usize = FRAME_BYTES_MAX + 2 * REPLY_BYTES_MAX;
/// Bytes of unsent private replies at which a connection's input is no longer read until it reads ours.
pub const OUTBOX_BYTES_PAUSE: usize = 16 * 1024;
/// Bytes of replies for which a shard of a feed has memory. Beyond: whoever has been owed much for longest is dropped.
pub const OUTBOX_POOL_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of one block of it: most replies are shorter, and each takes a block until it is sent.
pub const OUTBOX_BLOCK_BYTES: usize = 1024;
/// Bytes of one reply, which is at most an acknowledgement of [`REQUEST_CHANNELS_MAX`] channels.
pub const REPLY_BYTES_MAX: usize = REQUEST_CHANNELS_MAX * 256;

/// Bytes of memory that an idle connection with one subscription may cost. Beyond: the build fails.
pub const IDLE_CONNECTION_BYTES_MAX: usize = 320;
/// Connections of one shard unless the command line says how many all have together. Beyond: 503 with `Retry-After`.
pub const CONNECTIONS_PER_SHARD_DEFAULT: usize = 16 * 1024;
/// The kernel spreads connections over shards by a hash, some more here, some more there. Each shard has room for its
/// even share and so many standard deviations on top, the square root of that share being one: a shard that is full
/// while others are not is one case in a thousand million.
pub const SPREAD_DEVIATIONS: usize = 6;
/// Slots of a shard beyond its limit of open connections, so that there is always room to shake hands, to answer 503
/// and to say goodbye. See [`SLOTS_SPARE`].
pub const REFUSALS_PER_SHARD: usize = 64;
/// Slots of a shard that are kept free for newcomers. When fewer are left, the connection that has stood longest in a
/// handshake or a farewell is dropped for each newcomer, unanswered; where there is none, the newcomer is.
pub const SLOTS_SPARE: usize = REFUSALS_PER_SHARD / 2;

// ---- publishing ---------------------------------------------------------------------------------

/// Errands of one shard's clients that are on their way to the writer and back. Beyond: who wants another one is not read
/// from until there is room.
pub const ERRANDS_PER_SHARD_MAX: usize = 1024;
/// Bytes of these. Beyond: likewise.
pub const ERRANDS_BYTES_PER_SHARD_MAX: usize = 1024 * 1024;
/// Errands of one connection that are under way. Beyond: it is not read from until half of them are answered.
pub const ERRANDS_PER_CONNECTION_MAX: u8 = 64;
/// Errands that the writer carries out at once, between which a source waits. Beyond: what came of them is told first.
pub const ERRANDS_PER_BATCH: usize = 64;
/// Bytes of the key by which a publisher tells one message from another. Longer: error 4000.
pub const PUBLISH_KEY_BYTES_MAX: usize = 64;
/// Keys of one publisher that are remembered; all who have shown no token are one. Beyond: the oldest is forgotten, and a
/// message that is sent again with it is published again.
pub const KEYS_PER_PUBLISHER_MAX: usize = 16 * 1024;
/// Publishers that have a token. Beyond: refused at start.
pub const PUBLISHERS_MAX: usize = 64;
/// Bytes of a publisher's name. Longer: refused at start.
pub const PUBLISHER_NAME_BYTES_MAX: usize = 64;
/// Bytes of a token. Shorter: refused at start, because it could be guessed.
pub const TOKEN_BYTES_LEAST: usize = 16;
/// Bytes of a token. Longer: refused at start; in a request, error 4007 as for any other that is wrong.
pub const TOKEN_BYTES_MAX: usize = 256;

/// Connections on which lines come in. Beyond: told error 4009 and closed.
pub const INGEST_CONNECTIONS_MAX: usize = 32;
/// Lines that are taken at once, between which a source waits. Beyond: what came of them is told first.
pub const INGEST_LINES_PER_BATCH: usize = 64;
/// Bytes of replies that a publisher of lines has not read. Beyond: nothing more is taken from it until it has.
pub const INGEST_REPLY_BYTES_PAUSE: usize = 64 * 1024;
/// Seconds in which a publisher of lines takes the replies that it is sent, so many at most. Beyond: closed, and its connection
/// is another's.
pub const INGEST_REPLY_S: u64 = 30;
/// Connections that wait to be let in, on each socket for lines. Beyond: the kernel makes them wait.
pub const INGEST_BACKLOG: i32 = 128;
/// Seconds of silence after which the kernel asks whether a publisher of lines is still there, and between its questions.
/// One that is not gives its connection back.
pub const INGEST_KEEPALIVE_S: u64 = 30;

// ---- echo: what differs from a feed -----------------------------------------------------------------

/// Bytes of one message to an echo unless the command line says otherwise. Beyond: close 1009.
pub const ECHO_MESSAGE_BYTES_DEFAULT: u32 = 16 * 1024 * 1024;
/// The most that the command line may say. Beyond: refused at start.
pub const ECHO_MESSAGE_BYTES_MOST: u32 = 64 * 1024 * 1024;
/// From the first byte of a message to an echo to its last: as [`MESSAGE_MS`], but longer messages take longer.
pub const ECHO_MESSAGE_MS: u64 = 120_000;
/// Bytes of replies owed at which an echo's client is no longer read from before it has read all of them. It may owe
/// one message of the greatest length on top of that, and a ping and a close frame.
pub const ECHO_OWED_BYTES_PAUSE: usize = 256 * 1024;
/// Bytes for which an echo's shard has memory: of long messages that have arrived in part, and as many of replies that
/// have not gone out. Beyond: close 1013.
pub const ECHO_POOL_BYTES: usize = 256 * 1024 * 1024;
/// Bytes of messages, inflated where they were compressed, that one client of an echo is answered in one turn, and what
/// is left of the last of them. Beyond: the rest of what it has said waits for the next turn.
pub const ECHO_TURN_BYTES: usize = 1024 * 1024;
/// Blocks of an echo's shard for messages of up to 64 KiB that have arrived in part. Beyond: the long ones are used.
pub const ECHO_MEDIUM_BLOCKS: usize = 1024;
/// Bytes of one block of an echo's replies.
pub const ECHO_OUTBOX_BLOCK_BYTES: usize = 16 * 1024;

// ---- shard: time and turns --------------------------------------------------------------------

/// From accept to a complete opening handshake. Beyond: closed (408 where a request had begun).
pub const HANDSHAKE_MS: u64 = 5_000;
/// From the first byte of a message to its last, counted anew when it outgrows its block, and whenever the server
/// itself does not listen. Beyond: close 1008.
pub const MESSAGE_MS: u64 = 10_000;
/// What a client that was refused for want of room is told to wait, in seconds.
pub const RETRY_AFTER_S: u32 = 1;
/// Commands of one connection within one second. Beyond: error 4006 for the command, which is not carried out.
pub const COMMANDS_PER_SECOND_MAX: u16 = 50;
/// Seconds, less those without, in which commands of one connection were so refused. Beyond: close 4006.
pub const COMMANDS_REFUSED_SECONDS_MAX: u8 = 10;
/// Frames of one connection to the feed in one second, in the long run: fragments, pings and pongs as well as whole
/// messages. A piece of a frame that arrives by itself counts as one too, and so does every
/// [`MESSAGE_BYTES_PER_FRAME`] of a message. Beyond: see [`FRAMES_AHEAD_MAX`].
pub const FRAMES_PER_SECOND_MAX: u16 = 1_000;
/// Frames by which a connection may run ahead of [`FRAMES_PER_SECOND_MAX`]: enough for the longest message in
/// fragments of 32 bytes. Beyond: close 4006.
pub const FRAMES_AHEAD_MAX: u16 = 8_192;
/// Bytes of a message, inflated where it was compressed, that count as one frame more.
pub const MESSAGE_BYTES_PER_FRAME: usize = 1024;
/// Channels named in a request that make it count as one command more: looking them up among a client's
/// subscriptions is work.
pub const CHANNELS_PER_COMMAND: usize = 32;
/// Between our pings of one connection, unless the command line says otherwise.
pub const PING_INTERVAL_MS: u64 = 20_000;
/// The most seconds that the command line may put between them. Beyond: refused at start.
pub const PING_SECONDS_MOST: u32 = 3_600;
/// Pings in a row without a sign of life since the first. When the next one is due: close 4014. Pings are counted, and not
/// time, so that a shard that was late itself blames nobody.
pub const PINGS_UNANSWERED_MAX: u8 = 3;
/// A subscriber who was sent no message for so long is sent a heartbeat, unless the command line says otherwise.
pub const HEARTBEAT_MS: u64 = 15_000;
/// The most seconds that the command line may say. Beyond: refused at start.
pub const HEARTBEAT_SECONDS_MOST: u32 = 3_600;
/// Channels whose newest numbers stand in a heartbeat. Beyond: those that were subscribed last are named and the others
/// are not, so that a heartbeat stays short however much somebody has subscribed to. Of a pattern none are: it may match
/// all channels there are, most of them silent, and to find out which are not is work that nobody asked for.
pub const HEARTBEAT_CHANNELS_MAX: usize = 32;
/// The most seconds that the command line may give clients to part. Beyond: refused at start.
pub const DRAIN_SECONDS_MOST: u32 = 3_600;
/// Clients of a server that shuts down are told to come back after a random time in this range.
pub const RETRY_MS_LEAST: u64 = 500;
/// See [`RETRY_MS_LEAST`].
pub const RETRY_MS_MOST: u64 = 8_000;
/// From our close frame to the peer's. Beyond: the connection is dropped.
pub const CLOSE_MS: u64 = 2_000;
/// Bytes that the peer may still send when everything is said, because closing earlier would reset the connection and it
/// might lose our last words. Beyond: the connection is dropped.
pub const LINGER_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Timers that are handled in one turn: handshakes, pings, closes. Beyond: the next turn goes on with them, when what the
/// pings owe has gone out.
pub const EXPIRED_PER_TURN: usize = 128;
/// Before accepting again after the kernel refused a descriptor.
pub const ACCEPT_PAUSE_MS: u64 = 50;
/// Receptions from one connection within [`PING_INTERVAL_MS`] that make it hot: its poll lasts, which spares arming one
/// for each. It pays for the search by which that poll is ended. Below: one-shot polls again, from the next ping on.
pub const HOT_RECEPTIONS: u8 = 64;
/// Hot connections of a shard times its connections. The kernel keeps polls in 256 lists and searches one to end a lasting
/// poll, so this bounds what it takes to end all of them. Beyond: one-shot polls.
pub const HOT_SEARCH_MAX: usize = 64 * 1024 * 1024;
/// Completions that the shard's memory is made for; more in one turn are taken all the same.
pub const COMPLETIONS_PER_TURN: usize = 4096;
/// Connections whose input is received in one batch.
pub const RECV_BATCH: usize = 32;
/// Connections that are heard in one turn. Beyond: the next turn goes on with them, when what these are answered has gone
/// out, so that a storm of handshakes borrows few blocks for replies.
pub const HEARD_PER_TURN: usize = 128;
/// Bytes received from one connection in one go. What it sends beyond waits for the next turn.
pub const RECV_BYTES: usize = 64 * 1024;
/// Sends handed to the kernel in one submission.
pub const SEND_BATCH: usize = 2048;
/// Sends of one turn to those who are live; as many of replies, and as many to those who catch up. Beyond: they wait for
/// the next turn, when those who connect, ask for something or are due have been heard.
pub const TURN_SENDS: usize = SEND_BATCH;
/// Records that are sent in one round, so while the tape stays pinned, and that are looked at in one turn. Beyond: they
/// are the next round's.
pub const ROUND_RECORDS: usize = 2048;
/// Times that one turn notes for some client that it is to be sent a record, or several that follow each other on their
/// channel. Beyond, when all subscribers of the record are noted: the next turn goes on with the next one.
pub const TURN_NOTES: usize = 64 * 1024;
/// Slices of all sends of one submission together. Beyond: the clients that catch up wait for the next one.
pub const SEND_BATCH_PARTS: usize = SEND_BATCH * RANGES_PER_TURN;
/// Bytes of replies that a shard sends in one turn, more or less one connection's. Beyond: they come first in the next,
/// so that who owes much to many is heard meanwhile.
pub const REPLIES_TURN_BYTES: usize = 4 * 1024 * 1024;
/// Records of the tape that are looked at for one connection that catches up before the next has its turn.
pub const CATCH_UP_RECORDS: usize = 4096;
/// Records that are looked at for all connections of a shard together in one turn, more or less one connection's. Beyond:
/// they go on in the next.
pub const CATCH_UP_TURN_RECORDS: usize = 64 * CATCH_UP_RECORDS;
/// Bytes that one connection is caught up by before the next one has its turn.
pub const CATCH_UP_BYTES: usize = 256 * 1024;
/// Bytes that all connections of a shard together are caught up by in one turn, so that the tape's writer and the
/// live connections do not wait long.
pub const CATCH_UP_TURN_BYTES: usize = 8 * 1024 * 1024;

/// A client whose next message is older than so many milliseconds skips what is out of date, unless the command line or the
/// configuration says otherwise.
pub const BEHIND_MS: u64 = 500;
/// The same in bytes of its track: what is sent to it in one go is sent as it is.
pub const BEHIND_BYTES: u64 = CATCH_UP_BYTES as u64;

/// Terms on which clients may be behind, of one server: those that its options say, and those of the configuration's channels
/// that differ from them and from each other. Beyond: refused at start.
pub const TERMS_MAX: usize = 16;
/// Gaps that a client is told of at once. Beyond: close 4008.
pub const GAPS_MAX: usize = 1024;

// ---- ring: the kernel boundary of one shard -----------------------------------------------------

/// Slices of one send. Beyond: a mistake of the caller's, which panics (the kernel's own bound is 1,024).
pub const SEND_PARTS_MAX: usize = 64;
/// Bytes of a thread's stack. Beyond: the process ends, which no depth of calls here comes near.
pub const STACK_BYTES: usize = 2 * 1024 * 1024;
/// Bytes that are planned for what a process takes before it serves anybody: its code, its allocator's reserve, the
/// writer's and the control thread's runtimes. An allowance, not a bound that is enforced.
pub const PROGRAM_BYTES: usize = 16 * 1024 * 1024;
/// Bytes that an idle connection takes in the kernel: its socket, inode, file and directory entry, and the poll that
/// watches it. Measured, and not the same on every kernel: what is planned with it is an estimate.
pub const KERNEL_CONNECTION_BYTES: usize = 4_200;

/// Entries of a ring's submission queue; a power of two. When full: submitted, then filled again.
pub const SUBMISSION_ENTRIES: u32 = 4096;
/// Entries of a ring's completion queue; a power of two. Beyond: the kernel keeps the rest in its own memory,
/// ends multishot accepts, and hands over what it kept on the next wait.
pub const COMPLETION_ENTRIES: u32 = 64 * 1024;
/// Completions that one wait collects before it stops asking for more. Beyond: they come with the next wait.
pub const WAIT_COMPLETIONS: usize = 4096;
/// Times in a row that the kernel may take nothing of a submission. Beyond: the ring is broken, its shard ends.
pub const SUBMIT_STALLS_MAX: u32 = 100_000;
/// Connections that the kernel completes ahead of accept, per listener, unless the command line says otherwise. Beyond:
/// it drops their SYNs, and they retry.
pub const LISTEN_BACKLOG: u32 = 4096;
/// The most that the command line may say. Beyond: refused at start.
pub const LISTEN_BACKLOG_MOST: u32 = 65_535;
/// The least and the most bytes that the command line may give a socket's buffers. Beyond: refused at start.
pub const SOCKET_BUFFER_BYTES_LEAST: u32 = 4 * 1024;
/// See [`SOCKET_BUFFER_BYTES_LEAST`].
pub const SOCKET_BUFFER_BYTES_MOST: u32 = 64 * 1024 * 1024;
/// Bytes of a socket's send buffer in the kernel (which doubles it for its own overhead) unless the command line says
/// otherwise. Beyond: sends are short.
pub const SOCKET_SEND_BYTES: u32 = 128 * 1024;
/// Bytes of that buffer that may be unsent (`TCP_NOTSENT_LOWAT`). Beyond: sends are short, and ticks wait in user
/// space, where they can still be conflated.
pub const SOCKET_UNSENT_BYTES: u32 = 64 * 1024;
/// Descriptors of a process besides connections and rings: standard streams, files, sources, the admin listener.
pub const DESCRIPTORS_APART: u64 = 256;
/// Descriptors of a shard besides its connections: ring, listener, doorbell and a spare for each.
pub const DESCRIPTORS_PER_SHARD: u64 = 6;
/// Slots of a table of registered descriptors beyond those of its shard's connections and refusals: connections that
/// one wait may accept before the shard can turn any away. Beyond: accepting pauses for [`ACCEPT_PAUSE_MS`], and the
/// one connection that found no slot is reset.
pub const REGISTERED_AHEAD: usize = 512;
/// Slots of a table of registered descriptors, whatever the process's limit is: the kernel's `IORING_MAX_FIXED_FILES`.
/// Beyond: refused at start, with as many shards as have small enough ones.
pub const REGISTERED_SLOTS_MAX: usize = 1 << 20;

// ---- client: the subscriber's side ---------------------------------------------------------------

/// Bytes of one message of the server. Beyond: close 1009.
pub const CLIENT_MESSAGE_BYTES_MAX: u32 = 1024 * 1024;
/// From looking up the server's address to an open connection. Beyond: the attempt has failed.
pub const CLIENT_CONNECT_MS: u64 = 10_000;
/// From a refusal to the first line of its body. Beyond: the refusal is told without it.
pub const CLIENT_REFUSAL_MS: u64 = 1_000;
/// Bytes that the server has not taken yet. Beyond: nothing more is read, for each ping read is a pong to send.
pub const CLIENT_UNSENT_BYTES_MAX: usize = 256 * 1024;
/// Bytes of messages that were received and not taken yet. Beyond, by one message at most: nothing more is received, and who
/// does not take them is a slow consumer to the server.
pub const CLIENT_AHEAD_BYTES: usize = 256 * 1024;
/// The most that a client waits before it connects again the first time; each failure doubles it.
pub const CLIENT_RETRY_MS: u64 = 500;
/// The least that it waits where the server says when to come back. Below: it waits so long, and does not connect without end.
pub const CLIENT_RETRY_MS_TOLD_LEAST: u64 = 100;
/// The most that it waits ever, unless the server asks for more.
pub const CLIENT_RETRY_MS_MOST: u64 = 30_000;
/// The most that a server can make it wait. Beyond: it waits so long.
pub const CLIENT_RETRY_MS_TOLD: u64 = 3_600_000;
/// A connection that lasted so long has not failed: the next wait is as short as the first.
pub const CLIENT_STEADY_MS: u64 = 10_000;
/// Heartbeats of the server that may fail to come. Beyond: the connection is dead.
pub const CLIENT_SILENT_HEARTBEATS: u64 = 3;
/// From the first doubt whether a connection is dead to certainty: who was not reading may find that messages are there.
pub const CLIENT_DOUBT_MS: u64 = 100;
/// From an open connection to the server's greeting. Beyond: the connection is dead.
pub const CLIENT_GREETING_MS: u64 = 10_000;
/// Requests that are not answered yet, whether sent or not. Beyond: the next is refused.
pub const CLIENT_REQUESTS_MAX: usize = 1024;
/// Bytes of them. Beyond: the next is refused.
pub const CLIENT_REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Channels in one request of a client that comes back, so that it stays below [`MESSAGE_BYTES_MAX`] with a number for each.
pub const CLIENT_RESUMED_PER_REQUEST: usize = 256;
/// Before a client that came back asks again for channels that it was refused, which may come back too.
pub const CLIENT_REFUSED_RETRY_MS: u64 = 2_000;

// ---- load: the generator --------------------------------------------------------------------------

/// Bytes that a connection of the generator takes, whatever it does. More: fails the build.
pub const LOAD_CONNECTION_BYTES_MAX: usize = 128;
/// Bytes of one message of the server under load. Beyond: close 1009, and the connection counts as lost.
pub const LOAD_MESSAGE_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Connections whose input is received in one batch.
pub const LOAD_LANES: usize = 64;
/// Bytes received from one connection in one go; what it sends beyond waits for the next turn. No power of two, so that
/// the beginnings of all lanes do not compete for the same lines of the cache.
pub const LOAD_LANE_BYTES: usize = 16 * 1024 + 320;
/// Bytes of frames that are collected before they are sent.
pub const LOAD_SEND_BYTES: usize = 1024 * 1024;
/// Bytes that a connection may have unsent. Beyond: what is to be said is not, and is counted as never sent.
pub const LOAD_UNSENT_BYTES_MAX: usize = 1024 * 1024;
/// Messages of an open loop that a thread sends in one turn. Beyond: they are late, and keep their intended time.
pub const LOAD_MESSAGES_PER_TURN: usize = 1024;
/// Ticks under way at once. Beyond: published, but not measured, and counted as such.
pub const LOAD_TICKS: usize = 256 * 1024;
/// Parts of a run that are reported apart.
pub const LOAD_WINDOWS: usize = 5;
/// From the first packet to a connection that is ready. Beyond: it is given up and tried again.
pub const LOAD_OPENING_MS: u64 = 10_000;
/// From an attempt to connect that failed to the next of the same thread.
pub const LOAD_RETRY_MS: u64 = 50;
/// From the start of a run to the first connection that does what is expected. Beyond: there is no run.
pub const LOAD_SCOUT_MS: u64 = 15_000;
/// From the time of a tick to its last subscriber, and as much as the next for each of them. Beyond: the tick counts as
/// incomplete.
pub const LOAD_TICK_LATE_MS: u64 = 10_000;
/// See the former.
pub const LOAD_TICK_LATE_NS_EACH: u64 = 50_000;
/// Connections of a thread whose close frames wait for the server's at once when a run ends. Beyond: the others wait.
pub const LOAD_CLOSING_MAX: usize = 256;
/// From the end of a run to that of its last connection, and as much as the next for each that a thread has. Beyond:
/// connections are dropped, and as long after that, forgotten.
pub const LOAD_CLOSE_MS: u64 = 5_000;
/// See the former.
pub const LOAD_CLOSE_NS_EACH: u64 = 1_000_000;
/// From asking the server that was started to end to its end. Beyond: it is killed.
pub const LOAD_SERVER_STOP_MS: u64 = 15_000;
/// A thread looks at least so often whether there is something new to do.
pub const LOAD_TURN_MS: u64 = 250;
/// Connections to one server from one address. Beyond: on this machine itself, another address is used.
pub const LOAD_PORTS_PER_SOURCE: u32 = 20_000;
