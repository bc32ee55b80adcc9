//! Opening a journal: what is in it is checked, its torn end is cut, and the sequencer is brought to where it was.
//!
//! Never serves what it has not checked, and never mistakes damage for a torn end: a record that is not whole was torn
//! only if no later batch knew that it was on disk. Invariant: what is applied is one run of segments without a hole, with
//! the state of every channel in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::PathBuf;

use super::directory::{Directory, Lock};
use super::epoch::{EpochFile, Standing, Why, boot};
use super::error::JournalError;
use super::format::{Begun, Flaw, HEADER_BYTES, Header, Mark, Record, furthest_mark};
use super::policy::JournalSpec;
use super::roll::Roll;
use super::scan::{Scanned, Scanner};
use crate::limits;
use crate::market::ChannelClass;
use crate::writer::formats::NATIVE_JSON;
use crate::writer::sequencer::{Keyed, RestoredKeys, Sequencer};

/// A journal that was read and is ready to be gone on with.
#[derive(Debug)]
pub struct Opened {
    /// What it is to keep.
    pub spec: JournalSpec,
    /// Its files.
    pub directory: Directory,
    /// The epoch that the server is in.
    pub epoch: u64,
    /// The number of the next segment, and how many bytes of the one before it count.
    pub next_segment: u64,
    /// See the former.
    pub previous_end: u64,
    /// The number of the next message.
    pub next_message: u64,
    /// The segments that there are, oldest first.
    pub kept: Vec<Kept>,
    /// What was taken back.
    pub recovered: Recovered,
}

/// A segment that is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub segment: u64,
    /// Its length.
    pub bytes: u64,
    /// When it was begun, in nanoseconds since the epoch.
    pub begun_ns: u64,
}

/// What a journal has brought back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Messages that are on the tape again, or were and have left it.
    pub messages: u64,
    /// Bytes that were cut from the end.
    pub cut_bytes: u64,
}

/// A segment that was checked.
#[derive(Debug)]
struct Checked {
    header: Header,
    /// Where what is whole ends, and what is there if it is not the file's end.
    end: u64,
    flaw: Option<Flaw>,
    bytes: u64,
    messages: u64,
    complete: bool,
    mark: Mark,
}

/// Opens a journal and brings `sequencer`, which is new, to where it was. What cannot be told apart from another run of
/// the server's is told by `wall_ns`, the present.
///
/// # Errors
/// When it cannot be used as it is, and why. Nothing of what is whole in it has been changed.
pub fn open(
    spec: &JournalSpec,
    sequencer: &mut Sequencer,
    wall_ns: u64,
) -> Result<(Opened, Lock), JournalError> {
    let directory = Directory::new(&spec.directory);
    let lock = directory.lock()?;
    let left = directory.left();
    let mut numbers = directory.segments()?;
    drop_unbegun(&directory, &mut numbers)?;
    let tape_bytes = sequencer.tape().track_bytes(NATIVE_JSON) as u64;
    let (run, cut_bytes) = check(&directory, &mut numbers, tape_bytes)?;
    let mut recovered = Recovered {
        cut_bytes,
        ..Recovered::default()
    };
    let mut keys = RestoredKeys::default();
    for checked in &run {
        recovered.messages += apply(&directory, checked, sequencer, &mut keys)?;
    }
    sequencer.restore_keys(&keys);
    if let Some(last) = run.last() {
        release(&directory.segment(last.header.segment), last.bytes)?;
    }
    for checked in &run {
        sync(&directory.segment(checked.header.segment))?;
    }
    let kept = numbers
        .iter()
        .map(|&segment| kept(&directory, segment))
        .collect::<Result<Vec<_>, _>>()?;
    let boot = boot();
    let goes_on = left
        .ok_or(Why::Unknown)
        .and_then(|left| left.goes_on(boot, cut_bytes));
    // A clock that was set back gives no epoch twice.
    let epoch = goes_on.unwrap_or_else(|_| (wall_ns / 1000).max(left.map_or(0, |left| left.epoch + 1)));
    let path = directory.path().display();
    match goes_on {
        Err(why) if !run.is_empty() => tracing::warn!(
            "journal {path}: {why}; the epoch is a new one, and clients that resume begin with snapshots"
        ),
        Ok(_) | Err(_) => {}
    }
    let Recovered { messages, .. } = recovered;
    tracing::info!("journal {path}: {messages} messages taken back, epoch {epoch:x}");
    directory.stand(&EpochFile {
        epoch,
        standing: Standing::under(spec.sync),
        boot,
    })?;
    let last = run.last();
    let opened = Opened {
        spec: spec.clone(),
        epoch,
        next_segment: numbers.last().map_or(1, |last| last + 1),
        previous_end: last.map_or(0, |last| last.end),
        next_message: last.map_or(1, |last| last.header.first_message + last.messages),
        kept,
        recovered,
        directory,
    };
    Ok((opened, lock))
}

/// Gives back the room that was set aside for the rest of a segment.
fn release(path: &PathBuf, bytes: u64) -> Result<(), JournalError> {
    let file = OpenOptions::new().write(true).open(path);
    let released = file.and_then(|file| file.set_len(bytes));
    released.map_err(|error| JournalError::Write {
        path: path.clone(),
        error,
    })
}

/// What was read may have been in memory only, where a server was killed before it had synced. From here on it is counted on.
fn sync(path: &PathBuf) -> Result<(), JournalError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| JournalError::Write {
        path: path.clone(),
        error,
    })
}

/// Segments of no bytes were made ready and never begun.
fn drop_unbegun(directory: &Directory, numbers: &mut Vec<u64>) -> Result<(), JournalError> {
    while let Some(&last) = numbers.last() {
        let path = directory.segment(last);
        if length(&path)? > 0 {
            break;
        }
        remove(path)?;
        numbers.pop();
    }
    Ok(())
}

/// The segments to apply, oldest first, once what is torn is cut; and how much that was.
fn check(
    directory: &Directory,
    numbers: &mut Vec<u64>,
    tape_bytes: u64,
) -> Result<(Vec<Checked>, u64), JournalError> {
    let mut cut_bytes = 0;
    'anew: loop {
        let mut run: Vec<Checked> = Vec::new();
        let (mut bytes, mut complete) = (0_u64, false);
        let mut at = numbers.len();
        while at > 0 && !(complete && bytes >= tape_bytes) {
            at -= 1;
            let segment = numbers[at];
            if run.first().is_some_and(|next| next.header.segment != segment + 1) {
                return Err(JournalError::Gone {
                    path: directory.segment(segment + 1),
                });
            }
            let checked = check_segment(directory, segment)?;
            let Checked { header, end, .. } = checked;
            let torn = match run.first() {
                None => checked.flaw,
                // It may also end between two records.
                Some(next) if end < next.header.previous_end => Some(checked.flaw.unwrap_or(Flaw::Missing)),
                // Behind what the next one counts of it stands only what was given up.
                Some(_) => None,
            };
            if let Some(flaw) = torn {
                refuse_damage(directory, &checked, flaw, &run)?;
                cut_bytes += cut(directory, &checked, flaw, numbers.split_off(at + 1))?;
                if end < HEADER_BYTES as u64 {
                    numbers.pop();
                }
                continue 'anew;
            }
            // What begins with all states and has not all of them has nothing else.
            let unfinished = header.begun != Begun::Rotation && !checked.complete;
            if unfinished && run.is_empty() {
                remove(directory.segment(segment))?;
                numbers.pop();
                continue 'anew;
            }
            bytes += checked.bytes;
            complete |= checked.complete;
            let begins_anew = header.begun == Begun::Discontinuity && checked.complete;
            run.insert(0, checked);
            if begins_anew {
                break;
            }
        }
        if !complete && !run.is_empty() {
            return Err(JournalError::Incomplete {
                path: directory.path().into(),
            });
        }
        return Ok((run, cut_bytes));
    }
}

/// A record that is not whole, though a later batch knew that it was on disk, was damaged since.
fn refuse_damage(
    directory: &Directory,
    checked: &Checked,
    flaw: Flaw,
    later: &[Checked],
) -> Result<(), JournalError> {
    let path = directory.segment(checked.header.segment);
    let here = Mark {
        segment: checked.header.segment,
        offset: checked.end,
    };
    let corrupt = JournalError::Corrupt {
        path: path.clone(),
        offset: checked.end,
        flaw,
    };
    // A version that we do not know is not ours to cut.
    if matches!(flaw, Flaw::Version(_)) || later.iter().any(|later| later.mark > here) {
        return Err(corrupt);
    }
    let bytes = fs::read(&path).map_err(|error| JournalError::Read { path, error })?;
    let behind = usize::try_from(checked.end).ok().and_then(|end| bytes.get(end..));
    let known = furthest_mark(behind.unwrap_or_default());
    if known.is_some_and(|mark| mark > here) {
        Err(corrupt)
    } else {
        Ok(())
    }
}

/// Cuts a torn segment where what is whole ends, puts those behind it aside, and says so.
fn cut(directory: &Directory, checked: &Checked, flaw: Flaw, later: Vec<u64>) -> Result<u64, JournalError> {
    let segment = checked.header.segment;
    let path = directory.segment(segment);
    let write_error = |path: &PathBuf| {
        let path = path.clone();
        move |error| JournalError::Write { path, error }
    };
    let mut cut_bytes = checked.bytes - checked.end;
    for number in later {
        let path = directory.segment(number);
        cut_bytes += length(&path)?;
        put_aside(&path, "what it follows is torn")?;
    }
    if checked.end < HEADER_BYTES as u64 {
        put_aside(&path, "its header is torn")?;
        return Ok(cut_bytes);
    }
    let file = OpenOptions::new()
        .write(true)
        .open(&path)
        .map_err(write_error(&path))?;
    file.set_len(checked.end).map_err(write_error(&path))?;
    file.sync_all().map_err(write_error(&path))?;
    directory.sync().map_err(write_error(&path))?;
    tracing::warn!(
        "{}: torn at byte {} ({flaw}); {} bytes were cut behind the last whole record",
        path.display(),
        checked.end,
        checked.bytes - checked.end
    );
    Ok(cut_bytes)
}

fn put_aside(path: &PathBuf, why: &str) -> Result<(), JournalError> {
    let aside = path.with_extension("cut");
    fs::rename(path, &aside).map_err(|error| JournalError::Write {
        path: path.clone(),
        error,
    })?;
    tracing::warn!("{}: put aside, because {why}; it may be removed", aside.display());
    Ok(())
}

fn check_segment(directory: &Directory, segment: u64) -> Result<Checked, JournalError> {
    let path = directory.segment(segment);
    let mut checked = Checked {
        header: Header {
            begun: Begun::Rotation,
            segment,
            epoch: 0,
            first_message: 1,
            previous_end: 0,
            begun_ns: 0,
        },
        end: 0,
        flaw: None,
        bytes: length(&path)?,
        messages: 0,
        complete: false,
        mark: Mark::default(),
    };
    let mut flaw = None;
    let end = scan(path, |_, scanned| {
        match scanned {
            Scanned::Header(header) if header.segment == segment => checked.header = header,
            Scanned::Header(_) => {
                return Err(JournalError::Corrupt {
                    path: directory.segment(segment),
                    offset: 0,
                    flaw: Flaw::Field("a segment's number"),
                });
            }
            Scanned::Record(Record::Batch(mark)) => checked.mark = checked.mark.max(mark),
            Scanned::Record(Record::Message(_)) => checked.messages += 1,
            Scanned::Record(Record::Complete { .. }) => checked.complete = true,
            Scanned::Record(
                Record::Channel { .. } | Record::State(_) | Record::Key(_) | Record::Remembered(_),
            )
            | Scanned::More
            | Scanned::End => {}
            Scanned::Flawed(found) => flaw = Some(found),
        }
        Ok(())
    })?;
    Ok(Checked { end, flaw, ..checked })
}

/// Gives a segment's messages and states to the sequencer, and its keys to `keys`; says how many messages it took.
fn apply(
    directory: &Directory,
    checked: &Checked,
    sequencer: &mut Sequencer,
    keys: &mut RestoredKeys,
) -> Result<u64, JournalError> {
    let path = directory.segment(checked.header.segment);
    let (mut roll, mut levels, mut taken) = (Roll::default(), Vec::new(), 0);
    let mut ahead: Option<(u32, u64, Box<str>, Box<str>)> = None;
    scan(path.clone(), |offset, scanned| {
        let key = ahead.take();
        let failed = |why: String| JournalError::Restore {
            path: path.clone(),
            offset,
            why,
        };
        let (line, counts) = match scanned {
            Scanned::Record(Record::Message(line)) => (line, true),
            Scanned::Record(Record::State(line)) => (line, false),
            Scanned::Record(Record::Channel {
                number,
                class,
                is_derived,
                name,
            }) => {
                roll.call(number, is_derived.then_some(class), name);
                if is_derived {
                    return Ok(());
                }
                return agree(directory, name, class, sequencer);
            }
            Scanned::Record(Record::Key(line)) => {
                ahead = Some((line.channel, line.seq, line.publisher.into(), line.key.into()));
                return Ok(());
            }
            Scanned::Record(Record::Remembered(line)) => {
                let channel = roll.name(line.channel).unwrap_or_default();
                let (publisher, key) = (line.publisher, line.key);
                keys.add(Keyed { publisher, key }, channel, line.seq, line.pt_ns);
                return Ok(());
            }
            Scanned::Header(_)
            | Scanned::Record(Record::Batch(_) | Record::Complete { .. })
            | Scanned::More
            | Scanned::End
            | Scanned::Flawed(_) => return Ok(()),
        };
        if let Some((channel, seq, publisher, key)) = key
            && counts
            && (channel, seq) == (line.channel, line.seq)
        {
            let (publisher, key) = (&*publisher, &*key);
            let channel = roll.name(channel).unwrap_or_default();
            keys.add(Keyed { publisher, key }, channel, seq, line.pt_ns);
        }
        let restored = roll
            .restored(&line, &mut levels)
            .map_err(|flaw| failed(flaw.to_string()))?;
        let took = sequencer
            .restore(&restored)
            .map_err(|error| failed(error.to_string()))?;
        if took {
            sequencer
                .settle()
                .map_err(|_| failed("the tape is being read".to_owned()))?;
            taken += u64::from(counts);
        }
        Ok(())
    })?;
    Ok(taken)
}

/// What was journaled of a channel of one class says nothing of a channel of another.
fn agree(
    directory: &Directory,
    name: &str,
    journaled: ChannelClass,
    sequencer: &Sequencer,
) -> Result<(), JournalError> {
    match sequencer.class(name) {
        Some(configured) if configured != journaled => Err(JournalError::Class {
            path: directory.path().into(),
            channel: name.to_owned(),
            journaled,
            configured,
        }),
        Some(_) | None => Ok(()),
    }
}

/// Calls `each` with everything in a segment and where it begins, up to its end or its first flaw; says where that is.
fn scan(
    path: PathBuf,
    mut each: impl FnMut(u64, Scanned<'_>) -> Result<(), JournalError>,
) -> Result<u64, JournalError> {
    let read_error = |error| JournalError::Read {
        path: path.clone(),
        error,
    };
    let mut file = File::open(&path).map_err(read_error)?;
    let mut scanner = Scanner::default();
    let mut piece = vec![0; limits::JOURNAL_READ_BYTES];
    loop {
        let offset = scanner.offset();
        let scanned = scanner.scan();
        match scanned {
            Scanned::More => match file.read(&mut piece) {
                Ok(0) => scanner.finish(),
                Ok(bytes) => scanner.push(&piece[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read_error(error)),
            },
            Scanned::End => return Ok(offset),
            Scanned::Flawed(_) => {
                each(offset, scanned)?;
                return Ok(offset);
            }
            Scanned::Header(_) | Scanned::Record(_) => each(offset, scanned)?,
        }
    }
}

fn kept(directory: &Directory, segment: u64) -> Result<Kept, JournalError> {
    let path = directory.segment(segment);
    let mut header = [0; HEADER_BYTES];
    let read = File::open(&path).and_then(|mut file| file.read_exact(&mut header));
    read.map_err(|error| JournalError::Read {
        path: path.clone(),
        error,
    })?;
    Ok(Kept {
        segment,
        bytes: length(&path)?,
        // One that is not looked into is not in the way either.
        begun_ns: Header::read(&header).map_or(0, |header| header.begun_ns),
    })
}

fn length(path: &PathBuf) -> Result<u64, JournalError> {
    let length = fs::metadata(path).map(|status| status.len());
    length.map_err(|error| JournalError::Read {
        path: path.clone(),
        error,
    })
}

fn remove(path: PathBuf) -> Result<(), JournalError> {
    fs::remove_file(&path).map_err(|error| JournalError::Write { path, error })
}
