//! A signed event, changed in every way that comes to mind: nothing but the very bytes that were
//! signed is ever accepted.

use harness::app::{START, WEBHOOK_SECRETS};
use harness::rng::{Rng, seed};
use shared::secret::Secret;
use shared::stripe::signature::{sign, verify};

const BODY: &[u8] =
    br#"{"id":"evt_1","type":"checkout.session.completed","created":1795176000,"data":{"object":{"id":"cs_1"}}}"#;

/// Secrets that are nearly ours. None is ours with NULs appended, which HMAC cannot tell from it.
const OTHER_SECRETS: [&str; 8] =
    ["", "whsec_", "whsec_ne", "whsec_new2", "WHSEC_NEW", " whsec_new", "whsec_new\n", "whsec_newwhsec_old"];

/// An event as it was signed, and what of it counts.
struct Original {
    header: String,
    timestamp: String,
    mac: String,
}

impl Original {
    fn new() -> Self {
        let header = sign(BODY, &Secret::new(WEBHOOK_SECRETS[0]), START);
        let (timestamp, mac) = header.split_once(',').unwrap();
        let (timestamp, mac) = (timestamp.strip_prefix("t=").unwrap(), mac.strip_prefix("v1=").unwrap());
        Self { timestamp: timestamp.to_owned(), mac: mac.to_owned(), header: header.clone() }
    }

    /// Whether `header` and `body` still say what was signed: the same body, the same time in the
    /// same digits in front of any other, and among the signatures the one that was made. Told
    /// without computing any signature.
    fn is_kept(&self, header: &str, body: &[u8]) -> bool {
        let pairs: Vec<_> = header.split(',').filter_map(|pair| pair.trim().split_once('=')).collect();
        let timestamp = pairs.iter().find(|(name, _)| *name == "t").map(|(_, value)| *value);
        let signed = pairs.iter().any(|(name, value)| *name == "v1" && value.trim().eq_ignore_ascii_case(&self.mac));
        body == BODY && timestamp == Some(self.timestamp.as_str()) && signed
    }

    /// A mutation: a header and a body.
    fn mutation(&self, rng: &mut Rng) -> (String, Vec<u8>) {
        let (mut header, mut body) = (self.header.clone(), BODY.to_vec());
        let Self { timestamp, mac, .. } = self;
        match rng.below(12) {
            0 => rng.damage(&mut body),
            1 => {
                for _ in 0..=rng.below(6) {
                    rng.damage(&mut body);
                }
            }
            2 => header = damaged(&header, rng),
            3 => header = format!("t={timestamp},v1={}", damaged(mac, rng)),
            4 => header = format!("t={},v1={mac}", damaged(timestamp, rng)),
            // Another time, near the one that was signed, and written in other ways.
            5 => header = format!("t={},v1={mac}", self.other_time(rng)),
            // Signed as it should be, and by somebody else.
            6 => header = sign(BODY, &Secret::new(*rng.pick(&OTHER_SECRETS)), START),
            // Signed by Stripe, and not lately, or not yet.
            7 => {
                let late = 301 + i64::try_from(rng.below(1_000_000)).unwrap();
                let late = if rng.one_in(2) { late } else { -late };
                header = sign(BODY, &Secret::new(*rng.pick(&WEBHOOK_SECRETS)), START.plus_seconds(late));
            }
            8 => header = self.shuffled(rng),
            // Under another name, in another case, with blanks where none belong.
            9 => {
                let names =
                    [("t", "v0"), ("v1", "t"), ("T", "v1"), ("t", "V1"), ("t ", "v1"), ("t", "v1 "), ("t", "v2")];
                let (time, signature) = *rng.pick(&names);
                header = format!("{time}={timestamp},{signature}={mac}");
            }
            // Cut anywhere.
            10 => header.truncate(rng.place(header.len())),
            _ => {
                let separators = ["", ";", " ", "&", "\n", ",,", "%2C", ", ", " ,"];
                let equals = ["=", "", ":", "==", "= ", " =", "=\""];
                header = header.replacen(',', rng.pick::<&str>(&separators), 1).replace('=', rng.pick::<&str>(&equals));
            }
        }
        (header, body)
    }

    fn other_time(&self, rng: &mut Rng) -> String {
        let moved = START.unix_seconds() - 300 + i64::try_from(rng.below(601)).unwrap();
        let timestamp = &self.timestamp;
        let ways = [
            moved.to_string(),
            format!("+{timestamp}"),
            format!("0{timestamp}"),
            format!("{timestamp}.0"),
            format!("{timestamp} "),
            format!(" {timestamp}"),
            format!("{timestamp}000"),
            format!("-{timestamp}"),
        ];
        rng.pick(&ways).clone()
    }

    /// Pairs of right and wrong ones, repeated and in any order.
    fn shuffled(&self, rng: &mut Rng) -> String {
        let (wrong_time, wrong_mac) = (self.other_time(rng), damaged(&self.mac, rng));
        let pool = [
            format!("t={}", self.timestamp),
            format!("t={wrong_time}"),
            format!("v1={}", self.mac),
            format!("v1={wrong_mac}"),
            format!("v0={}", self.mac),
            "v1=".to_owned(),
            "t=".to_owned(),
        ];
        let mut pairs: Vec<&str> = (0..=rng.below(8)).map(|_| rng.pick(&pool).as_str()).collect();
        rng.shuffle(&mut pairs);
        pairs.join(",")
    }
}

fn damaged(text: &str, rng: &mut Rng) -> String {
    let mut bytes = text.as_bytes().to_vec();
    rng.damage(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Tries mutations until `wanted` of them were none of what was signed; how many were.
fn mutate(wanted: usize) -> usize {
    let seed = seed("signature mutations");
    let (mut rng, original) = (Rng::new(seed), Original::new());
    let secrets = WEBHOOK_SECRETS.map(Secret::new);
    assert!(original.is_kept(&original.header, BODY) && verify(&original.header, BODY, &secrets, START).is_ok());
    let (mut refused, mut kept) = (0, 0);
    while refused < wanted {
        let (header, body) = original.mutation(&mut rng);
        if original.is_kept(&header, &body) {
            kept += 1;
            continue;
        }
        let verdict = verify(&header, &body, &secrets, START);
        assert!(verdict.is_err(), "accepted: {header:?} {:?}, SEED={seed}", String::from_utf8_lossy(&body));
        refused += 1;
    }
    println!("{refused} mutations, none accepted; {kept} more said what was signed");
    kept
}

#[test]
fn no_mutation_of_a_signed_event_is_accepted() {
    let kept = mutate(20_000);
    assert!(kept < 4_000, "{kept} were no mutations: the test tests little");
}

#[test]
#[ignore = "1 000 000 mutations; run it in a release build"]
fn no_mutation_of_a_million_is_accepted() {
    mutate(1_000_000);
}
