//! What bounds owe each other: compile-time assertions, so that changing one alone fails the build.

use super::*;

const _: () = assert!(CLOSE_REASON_BYTES_MAX == 123);
const _: () = assert!(HEAD_BYTES_MAX > TARGET_BYTES_MAX);
const _: () = assert!(OUTBOX_BYTES_MAX > OUTBOX_BYTES_PAUSE + REPLY_BYTES_MAX);
const _: () = assert!(OUTBOX_POOL_BYTES > OUTBOX_BYTES_MAX && OUTBOX_BYTES_PAUSE > OUTBOX_BLOCK_BYTES);
const _: () = assert!(ECHO_MESSAGE_BYTES_DEFAULT <= ECHO_MESSAGE_BYTES_MOST);
// Whoever sends a message that is too long, all of it before it reads, is told so.
const _: () = assert!(LINGER_BYTES_MAX >= ECHO_MESSAGE_BYTES_MOST);
// Two of the longest, which compression may make an eighth longer, at the same time.
const _: () =
    assert!(ECHO_POOL_BYTES >= 2 * (ECHO_MESSAGE_BYTES_MOST as usize / 8 * 9 + ECHO_OWED_BYTES_PAUSE));
// What is received in one go and sent back is no reason to pause.
const _: () = assert!(ECHO_OWED_BYTES_PAUSE > RECV_BYTES);
const _: () = assert!(PINGS_UNANSWERED_MAX >= 2 && PING_INTERVAL_MS <= PING_SECONDS_MOST as u64 * 1000);
const _: () = assert!(HEARTBEAT_MS <= HEARTBEAT_SECONDS_MOST as u64 * 1000);
// When a connection is looked at next is known by the last 32 bits of milliseconds.
const _: () =
    assert!(PING_SECONDS_MOST as u64 * 1000 < 1 << 31 && HEARTBEAT_SECONDS_MOST as u64 * 1000 < 1 << 31);
// A heartbeat fits into a few blocks: a name, and a number of 20 digits, of each channel.
const _: () = assert!(HEARTBEAT_CHANNELS_MAX * (CHANNEL_NAME_BYTES_MAX + 24) + 64 <= 4 * OUTBOX_BLOCK_BYTES);
const _: () = assert!(RETRY_MS_LEAST < RETRY_MS_MOST);
const _: () = assert!(TRACK_BYTES_DEFAULT >= TRACK_BYTES_MIN);
const _: () = assert!(TRACK_BYTES_DEFAULT.is_power_of_two() && TAPE_RECORDS_DEFAULT.is_power_of_two());
const _: () = assert!(TRACK_WINDOW_BITS >= 8 && TRACK_WINDOW_BITS <= 15);
const _: () = assert!(CATCH_UP_BYTES >= RECV_BYTES);
// The worst acknowledgement: every channel refused. 40 bytes of an entry and 128 of the whole are syntax.
const _: () = assert!(
    REQUEST_CHANNELS_MAX * (REPLY_NAME_BYTES_MAX + ACK_REASON_BYTES_MAX + 40) + 128 <= REPLY_BYTES_MAX
);
const _: () = assert!(REPLY_NAME_BYTES_MAX >= CHANNEL_NAME_BYTES_MAX);
const _: () = assert!(REQUEST_CHANNELS_MAX / CHANNELS_PER_COMMAND < COMMANDS_PER_SECOND_MAX as usize);
const _: () = assert!(FRAMES_AHEAD_MAX >= FRAMES_PER_SECOND_MAX);
const _: () = assert!(FRAMES_PER_SECOND_MAX > 2 * COMMANDS_PER_SECOND_MAX);
const _: () = assert!(
    FRAMES_AHEAD_MAX as usize >= MESSAGE_BYTES_MAX / 32 * 2 + MESSAGE_BYTES_MAX / MESSAGE_BYTES_PER_FRAME
);
// The least frame of a client has 6 bytes; what one reception brings on top of the most allowed can be counted.
const _: () = assert!(FRAMES_AHEAD_MAX as usize + RECV_BYTES / 6 < u16::MAX as usize);
const _: () = assert!(HEARD_PER_TURN >= RECV_BATCH && HEARD_PER_TURN.is_multiple_of(RECV_BATCH));
const _: () = assert!(0 < SLOTS_SPARE && SLOTS_SPARE < REFUSALS_PER_SHARD);
// Those who are heard in one turn can all be judged in it.
const _: () = assert!(HEARD_PER_TURN <= EXPIRED_PER_TURN);
const _: () =
    assert!(HANDSHAKE_MS <= MESSAGE_MS && MESSAGE_MS <= PINGS_UNANSWERED_MAX as u64 * PING_INTERVAL_MS);
// Of as many connections as there are by default no shard has too many for its table.
const _: () = assert!(
    CONNECTIONS_PER_SHARD_DEFAULT + SPREAD_DEVIATIONS * (CONNECTIONS_PER_SHARD_DEFAULT.isqrt() + 1)
        <= REGISTERED_SLOTS_MAX - REFUSALS_PER_SHARD - REGISTERED_AHEAD
);
const _: () = assert!(FRAME_BYTES_MAX >= SOURCE_LINE_BYTES_MAX);
const _: () = assert!(SEND_PARTS_MAX > RANGES_PER_TURN);
const _: () = assert!(0 < TURN_SENDS && TURN_SENDS <= SEND_BATCH);
const _: () = assert!(RANGE_BYTES_MAX as usize * RANGES_PER_TURN < 1 << 31);
const _: () = assert!(RANGE_BYTES_MAX as usize >= FRAME_BYTES_MAX);
const _: () = assert!(CATCH_UP_BYTES + FRAME_BYTES_MAX < 1 << 31);
const _: () = assert!(SUBMISSION_ENTRIES.is_power_of_two() && COMPLETION_ENTRIES.is_power_of_two());
const _: () =
    assert!(COMPLETION_ENTRIES >= 2 * SUBMISSION_ENTRIES && SUBMISSION_ENTRIES as usize >= SEND_BATCH);
// The longest request, its channel and its key fit, whatever else is under way by then is answered.
const _: () = assert!(
    ERRANDS_BYTES_PER_SHARD_MAX
        >= 2 * (MESSAGE_BYTES_MAX + CHANNEL_NAME_BYTES_MAX + PUBLISH_KEY_BYTES_MAX + 256)
);
const _: () =
    assert!(ERRANDS_BYTES_PER_SHARD_MAX >= 2 * REQUEST_CHANNELS_MAX * (CHANNEL_NAME_BYTES_MAX + 16));
const _: () = assert!((ERRANDS_PER_CONNECTION_MAX as usize) < ERRANDS_PER_SHARD_MAX);
const _: () = assert!(SOCKET_UNSENT_BYTES == SOCKET_SEND_BYTES / 2);
const _: () =
    assert!(SOCKET_BUFFER_BYTES_LEAST <= SOCKET_SEND_BYTES && SOCKET_SEND_BYTES <= SOCKET_BUFFER_BYTES_MOST);
const _: () = assert!(LISTEN_BACKLOG <= LISTEN_BACKLOG_MOST);
const _: () = assert!(JOURNAL_SEGMENT_BYTES_DEFAULT <= JOURNAL_SEGMENT_BYTES_MOST as u64);
const _: () = assert!(JOURNAL_RETAIN_BYTES_DEFAULT > JOURNAL_SEGMENT_BYTES_DEFAULT);
const _: () = assert!(JOURNAL_SYNC_MS_DEFAULT <= JOURNAL_SYNC_MS_MOST);
const _: () = assert!(SIM_BOOK_LEVELS <= BOOK_LEVELS_MAX);
// All that is offered can be derived of a book at once.
const _: () = assert!(
    (DERIVED_DEPTHS_DEFAULT.len() + 1) * (DERIVED_INTERVALS_MS_DEFAULT.len() + 1) - 1 <= DERIVED_PER_BASE_MAX
);
const _: () = assert!(
    DERIVED_DEPTHS_DEFAULT.len() <= DERIVED_OFFERS_MAX
        && DERIVED_INTERVALS_MS_DEFAULT.len() <= DERIVED_OFFERS_MAX
);
// The longest greeting: each of the classes that it says, and 512 bytes for the rest.
const _: () = assert!(HELLO_CLASSES_MAX * (CHANNEL_NAME_BYTES_MAX + 16) + 512 <= REPLY_BYTES_MAX);
// Less is none that the server of the admin port takes.
const _: () = assert!(ADMIN_HEAD_BYTES_MAX >= 8192 && ADMIN_HEAD_MS <= ADMIN_CONNECTION_MS);
const _: () = assert!(READERS_MAX > SHARDS_MAX);
const _: () = assert!(
    0 < DERIVED_INTERVAL_MS_LEAST
        && DERIVED_INTERVAL_MS_LEAST < 1000
        && DERIVED_INTERVAL_MS_MOST.is_multiple_of(1000)
);
const _: () = assert!(
    0 < TAPE_RECORDS_MIN / DERIVED_RECORDS_DIVISOR
        && DERIVED_PER_BASE_MAX <= DERIVED_CHANNELS_MAX
        && DERIVED_CHANNELS_MAX < CHANNELS_MAX
);
const _: () = assert!(CLIENT_MESSAGE_BYTES_MAX as usize >= FRAME_BYTES_MAX);
const _: () = assert!(CLIENT_MESSAGE_BYTES_MAX as usize >= REPLY_BYTES_MAX);
const _: () = assert!(CLIENT_UNSENT_BYTES_MAX >= MESSAGE_BYTES_MAX + FRAME_HEADER_BYTES_MAX);
const _: () = assert!(CLIENT_REFUSAL_MS < CLIENT_CONNECT_MS);
const _: () = assert!(CLIENT_RETRY_MS <= CLIENT_RETRY_MS_MOST && RETRY_MS_MOST <= CLIENT_RETRY_MS_TOLD);
const _: () = assert!(CLIENT_RETRY_MS_TOLD_LEAST <= RETRY_MS_LEAST && RETRY_MS_LEAST <= CLIENT_RETRY_MS_TOLD);
// Each channel twice, once with its number, and the syntax of both.
const _: () =
    assert!(CLIENT_RESUMED_PER_REQUEST * (2 * CHANNEL_NAME_BYTES_MAX + 32) + 256 <= MESSAGE_BYTES_MAX);
const _: () = assert!(CLIENT_REQUEST_BYTES_MAX >= MESSAGE_BYTES_MAX);
const _: () = assert!(LOAD_LANE_BYTES.is_multiple_of(64) && !LOAD_LANE_BYTES.is_power_of_two());
const _: () = assert!(LOAD_SCOUT_MS >= LOAD_OPENING_MS);
