//! Lines of a source: read as another reader of JSON reads them, and published without a digit changed.

use super::json::Object;
use crate::dialect::native_json::{Input, InputError, ServerMessage, Stamp, encode};
use crate::limits::{BOOK_LEVELS_MAX, DECIMAL_DIGITS_MAX, TRADE_ID_BYTES_MAX};
use crate::market::{BookUpdateKind, ChannelName, Decimal, Level, Side, Tick};
use serde_json::value::RawValue;

/// One line of the native input form, and the message that is made of it.
///
/// # Panics
/// When a property does not hold.
pub fn market_json(data: &[u8]) {
    let (mut fresh, mut used) = (Vec::new(), vec![LEVEL; 3]);
    let parsed = Input::parse(data, &mut fresh);
    let again = Input::parse(data, &mut used);
    assert_eq!(parsed.as_ref().ok(), again.as_ref().ok(), "old levels are void");
    let object = std::str::from_utf8(data).ok().and_then(Object::read);
    match parsed {
        Ok(input) => {
            let object = object.expect("a line is an object");
            assert_says(&object, &input);
            assert_is_published_alike(&input);
        }
        Err(error) => {
            assert!(!object.is_some_and(|object| is_a_line(&object)), "{error}");
            assert_names_what_it_means(&error, data);
        }
    }
}

/// The input says of each field what stands in the line.
fn assert_says(object: &Object, input: &Input<'_>) {
    assert!(is_a_line(object));
    assert_eq!(text(object.text("ch")).as_deref(), Some(input.channel.as_str()));
    assert_eq!(time(object), input.ts_ns);
    let says = |name, decimal: Decimal| assert_same_number(object.text(name), decimal);
    match input.tick {
        Tick::Trade(trade) => {
            says("px", trade.price);
            says("sz", trade.size);
            let side = if trade.side == Side::Buy { "buy" } else { "sell" };
            assert_eq!(text(object.text("side")).as_deref(), Some(side));
            assert_eq!(plain(object.some("tid")).unwrap_or_default(), trade.id);
        }
        Tick::Quote(quote) => {
            says("bp", quote.bid_price);
            says("bs", quote.bid_size);
            says("ap", quote.ask_price);
            says("as", quote.ask_size);
        }
        Tick::Book(update) => {
            let kind = if update.kind == BookUpdateKind::Snapshot {
                "snap"
            } else {
                "delta"
            };
            assert_eq!(text(object.text("k")).as_deref(), Some(kind));
            for (name, levels) in [("b", update.bids), ("a", update.asks)] {
                let written = side(object, name).expect("an accepted side is one");
                assert_eq!(written.len(), levels.len());
                for ([price, size], level) in written.iter().zip(levels) {
                    assert_same_number(Some(price), level.price);
                    assert_same_number(Some(size), level.size);
                }
            }
        }
        Tick::Message(data) => assert_eq!(object.text("data"), Some(data)),
    }
}

/// The message that subscribers get is read by our client, and is again a line that says the same, to the digit.
fn assert_is_published_alike(input: &Input<'_>) {
    let stamp = Stamp {
        channel: input.channel.as_str(),
        seq: 7,
        ts_ns: input.ts_ns.unwrap_or(9),
        pt_ns: u64::MAX,
    };
    let mut message = Vec::new();
    encode(&mut message, &stamp, &input.tick);
    let text = std::str::from_utf8(&message).expect("a message is text");
    let mut levels = Vec::new();
    let read = ServerMessage::parse(text, &mut levels).expect("a client can read it");
    // A message has no time of its own.
    let ts_ns = match input.tick {
        Tick::Message(_) => 0,
        Tick::Trade(_) | Tick::Quote(_) | Tick::Book(_) => stamp.ts_ns,
    };
    assert_eq!(read, ServerMessage::Tick(Stamp { ts_ns, ..stamp }, input.tick));

    let mut levels = Vec::new();
    let back = Input::parse(&message, &mut levels).expect("a message is a line");
    assert_eq!((back.channel, back.tick), (input.channel, input.tick));
    if !matches!(input.tick, Tick::Message(_)) {
        assert_eq!(back.ts_ns, Some(stamp.ts_ns));
    }
    let mut twice = Vec::new();
    encode(&mut twice, &stamp, &back.tick);
    assert_eq!(text.as_bytes(), twice, "a digit was lost");
}

/// Whether the object is a line, from the table at the top of the parser.
fn is_a_line(object: &Object) -> bool {
    let names = [
        "ch", "t", "ts", "px", "sz", "side", "tid", "bp", "bs", "ap", "as", "k", "b", "a", "data",
    ];
    let channel = plain(object.text("ch").filter(|ch| ch.starts_with('"')));
    let size = |name| number(object.text(name)).is_some_and(|size| !size.is_negative());
    let price = |name| number(object.text(name)).is_some();
    if object.repeats(&names)
        || channel.is_none_or(|channel| ChannelName::parse(channel).is_err())
        || (object.some("ts").is_some() && time(object).is_none())
    {
        return false;
    }
    match object.text("t") {
        Some("\"trade\"") => {
            let id = object.some("tid");
            let id_is_one = id.is_none() || plain(id).is_some_and(|id| id.len() <= TRADE_ID_BYTES_MAX);
            let side = matches!(object.text("side"), Some("\"buy\"" | "\"sell\""));
            price("px") && size("sz") && side && id_is_one
        }
        Some("\"bbo\"") => price("bp") && size("bs") && price("ap") && size("as"),
        Some("\"book\"") => {
            let (bids, asks) = (object.some("b").is_some(), object.some("a").is_some());
            let named = match object.text("k") {
                Some("\"snap\"") => bids && asks,
                Some("\"delta\"") => bids || asks,
                _ => false,
            };
            named && ["b", "a"].iter().all(|name| side(object, name).is_some())
        }
        Some("\"msg\"") => object.text("data").is_some(),
        _ => false,
    }
}

/// The texts of one side's levels; empty where the side is not named.
fn side(object: &Object, name: &str) -> Option<Vec<[String; 2]>> {
    let Some(value) = object.some(name) else {
        return Some(Vec::new());
    };
    let levels: Vec<[Box<RawValue>; 2]> = serde_json::from_str(value).ok()?;
    let is_level = |[price, size]: &[Box<RawValue>; 2]| {
        number(Some(price.get())).is_some()
            && number(Some(size.get())).is_some_and(|size| !size.is_negative())
    };
    let fits = levels.len() <= BOOK_LEVELS_MAX && levels.iter().all(is_level);
    let texts = levels
        .into_iter()
        .map(|level| level.map(|value| value.get().to_owned()));
    fits.then(|| texts.collect())
}

/// A string of any kind.
fn text(value: Option<&str>) -> Option<String> {
    serde_json::from_str(value?).ok()
}

/// A string's inside, if it is written without escapes, or an unsigned integer's digits.
fn plain(value: Option<&str>) -> Option<&str> {
    let value = value?;
    let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    match inside {
        Some(inside) => (!inside.contains('\\')).then_some(inside),
        None => value.parse::<u64>().is_ok().then_some(value),
    }
}

fn time(object: &Object) -> Option<u64> {
    let digits = plain(object.some("ts"))?;
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| all_digits)
}

/// The text of a decimal: a number, or a string with one in it.
fn digits(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value)
            .filter(|value| value.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])),
    }
}

/// A decimal, as [`Naive`] reads it.
fn number(value: Option<&str>) -> Option<Naive> {
    Naive::read(digits(value?)?)
}

/// What was parsed is what is written, digit for digit where it is written without an exponent.
fn assert_same_number(written: Option<&str>, parsed: Decimal) {
    let digits = written.and_then(digits).expect("an accepted field is there");
    let naive = Naive::read(digits).expect("an accepted decimal is one");
    assert_eq!(naive.plain(), parsed.to_string(), "{digits}");
    assert_eq!(naive.is_negative(), parsed.is_negative());
    assert!(Decimal::parse(&parsed.to_string()).is_ok_and(|again| again.same_text(parsed)));
    if !digits.contains(['e', 'E']) && !parsed.is_zero() {
        assert_eq!(digits, parsed.to_string());
    }
}

/// A decimal as a list of digits and the place of its point, which is all that the text says.
struct Naive {
    minus: bool,
    /// Without a zero before the first other digit, unless that is all.
    digits: String,
    /// How many of them stand behind the point.
    places: usize,
}

impl Naive {
    /// Reads a JSON number within the bounds of a decimal.
    fn read(text: &str) -> Option<Self> {
        // RFC 8259 §6, by a reader that knows it; it also knows white space, which is none of it.
        let json: &RawValue = serde_json::from_str(text).ok()?;
        if json.get() != text || !text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
            return None;
        }
        let (minus, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{part}");
        let significant = digits.trim_start_matches('0');
        // What is no exponent of this many digits is beyond every bound, or moves a zero for nothing.
        let power = exponent.trim_start_matches(['-', '+']).trim_start_matches('0');
        if power.len() > DECIMAL_DIGITS_MAX {
            return None;
        }
        let exponent: i64 = exponent.parse().ok()?;
        let places = i64::try_from(part.len()).ok()? - exponent;
        if significant.len() > DECIMAL_DIGITS_MAX || places > 128 || part.len() > 128 {
            return None;
        }
        if significant.is_empty() {
            let places = usize::try_from(places.max(0)).ok()?;
            let digits = "0".to_owned();
            return Some(Self {
                minus,
                digits,
                places,
            });
        }
        let zeros = usize::try_from((-places).max(0)).ok()?;
        if significant.len() + zeros > DECIMAL_DIGITS_MAX {
            return None;
        }
        Some(Self {
            minus,
            digits: format!("{significant}{}", "0".repeat(zeros)),
            places: usize::try_from(places.max(0)).ok()?,
        })
    }

    fn is_negative(&self) -> bool {
        self.minus && self.digits != "0"
    }

    /// The number without an exponent.
    fn plain(&self) -> String {
        let padded = format!("{:0>width$}", self.digits, width = self.places + 1);
        let (whole, part) = padded.split_at(padded.len() - self.places);
        let sign = if self.is_negative() { "-" } else { "" };
        let point = if part.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{part}")
    }
}

/// An error is said in one line, and names a field of the line or a place within it.
fn assert_names_what_it_means(error: &InputError, line: &[u8]) {
    let words = error.to_string();
    assert!(!words.is_empty() && words.len() < 300, "{words}");
    if let InputError::NotUtf8 { at } = error {
        assert!(*at < line.len() && std::str::from_utf8(&line[..*at]).is_ok());
    }
}

/// What a caller left in its list.
const LEVEL: Level = Level {
    price: Decimal::new(1, 0),
    size: Decimal::new(1, 0),
};
